/*
 * Status: every number has a name and a sentence, and unknown ones are called so.
 */
#include "tests/support/test.h"
#include "weft/status.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

Test(status, names_its_own_codes_as_they_are_written, .timeout = 5)
{
    CHECK_STR(weft_status_name(WEFT_ECLOSED), "WEFT_ECLOSED");
    CHECK_STR(weft_status_name(WEFT_EINTERRUPT), "WEFT_EINTERRUPT");
    CHECK_STR(weft_status_text(WEFT_ECLOSED), "the loop is closed");
}

Test(status, names_every_code_of_the_table, .timeout = 5)
{
#define CHECK_ENTRY(name, number, text)                                                                                                    \
    CHECK_EQ(name, number);                                                                                                                \
    CHECK_STR(weft_status_name(number), #name);                                                                                            \
    CHECK_STR(weft_status_text(number), text);
    WEFT_STATUS_TABLE(CHECK_ENTRY)
#undef CHECK_ENTRY
}

Test(status, takes_errno_from_the_system, .timeout = 5)
{
    CHECK_STR(weft_status_name(-ECANCELED), "ECANCELED");
    CHECK_STR(weft_status_name(-ENOMEM), "ENOMEM");
    CHECK_STR(weft_status_text(-ENOMEM), "Cannot allocate memory");
}

Test(status, calls_counts_a_success, .timeout = 5)
{
    CHECK_STR(weft_status_name(0), "OK");
    CHECK_STR(weft_status_name(INT_MAX), "OK");
    CHECK_STR(weft_status_text(7), "success");
}

Test(status, knows_what_it_does_not_know, .timeout = 5)
{
    static const int unknown[] = {-4000, -4095, -4096, -4299, -4302, -5000, INT_MIN};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_STR(weft_status_name(unknown[i]), "UNKNOWN");
        CHECK(strlen(weft_status_text(unknown[i])) > 0);
    }
}

Test(status, only_the_fatal_range_is_fatal, .timeout = 5)
{
    CHECK(weft_status_is_fatal(WEFT_EEXIT));
    CHECK(weft_status_is_fatal(WEFT_EINTERRUPT));
    CHECK(weft_status_is_fatal(-4399));
    CHECK(!weft_status_is_fatal(-4299));
    CHECK(!weft_status_is_fatal(-4400));
    CHECK(!weft_status_is_fatal(-ECANCELED));
    CHECK(!weft_status_is_fatal(WEFT_ECLOSED));
    CHECK(!weft_status_is_fatal(0));
}
