/*
 * Status: names and sentences for the numbers of <weft/status.h>.
 *
 * Everything is generated from the one table in the header or asked of the C library; nothing here allocates or follows a locale.
 */
#include "weft/status.h"

#include <stddef.h>
#include <string.h>

struct status_entry {
    int status;
    const char *name;
    const char *text;
};

static const struct status_entry status_table[] = {
#define STATUS_ENTRY(name, number, text) {number, #name, text},
    WEFT_STATUS_TABLE(STATUS_ENTRY)
#undef STATUS_ENTRY
};

enum { STATUS_ERRNO_MAX = 4095, STATUS_FATAL_FIRST = -4300, STATUS_FATAL_LAST = -4399 };

static const struct status_entry *status_find(int status)
{
    for (size_t i = 0; i < sizeof(status_table) / sizeof(status_table[0]); i++)
        if (status_table[i].status == status)
            return &status_table[i];
    return NULL;
}

static bool status_is_errno(int status)
{
    return status < 0 && status >= -STATUS_ERRNO_MAX && strerrorname_np(-status) != NULL;
}

const char *weft_status_name(int status)
{
    if (status >= 0)
        return "OK";
    if (status_is_errno(status))
        return strerrorname_np(-status);
    const struct status_entry *entry = status_find(status);
    return entry == NULL ? "UNKNOWN" : entry->name;
}

const char *weft_status_text(int status)
{
    if (status >= 0)
        return "success";
    if (status_is_errno(status))
        return strerrordesc_np(-status);
    const struct status_entry *entry = status_find(status);
    return entry == NULL ? "not a status that weft or the system knows" : entry->text;
}

bool weft_status_is_fatal(int status)
{
    return status <= STATUS_FATAL_FIRST && status >= STATUS_FATAL_LAST;
}
