/*
 * Overflow: SIGSEGV and SIGBUS on a signal stack, told apart, told about, and handed on.
 *
 * The kernel calls handle() in the thread that faulted; everything else comes from outside, under one lock. What the handler uses is
 * async-signal-safe: it reads the stack map and the current task of the loop that runs here, writes a line, takes no lock, and allocates
 * nothing. The invariant: whatever the fault was, the handler from before is asked next, as if we had not been there.
 */
#include "lib/task/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/base/fork.h"
#include "lib/base/signal_stack.h"
#include "lib/task/stack_map.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/status.h"

#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51
#endif

/* What the kernel leaves between a stack pointer and a signal's frame: the red zone, and alignment. */
enum { FRAME_GAP_BYTES = 512, NAME_BYTES_MAX = 64, LINE_BYTES = 320 };

uint32_t overflow_epoch;

/*
 * One signal that is handled. `before` is written before the handler can be called; of two, in turn, so that a fault that is under way while
 * the handler goes and comes again does not read what is being written.
 */
struct handled {
    int number;
    bool is_ours;    /* our handler is installed, or below somebody else's that would not be taken away */
    uint32_t latest; /* atomic: which of them holds */
    struct sigaction before[2];
};

static struct handled handled[] = {{.number = SIGSEGV}, {.number = SIGBUS}};
enum { HANDLED_COUNT = sizeof(handled) / sizeof(handled[0]) };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t install_count;       /* under the lock */
static uint32_t is_active;           /* atomic: tell about overflows */
static uint32_t tell_version;        /* atomic: odd while the next two are written */
static weft_stack_overflow_fn *tell; /* atomic: NULL for a line on standard error */
static void *tell_arg;               /* atomic */

/* ---- recognising ---------------------------------------------------------------------------------------------------------------- */

/* 0 where we do not know the machine: then the address alone decides. */
static uintptr_t stack_pointer(const void *context)
{
    const ucontext_t *user = context;
    if (user == NULL)
        return 0;
#if defined(__x86_64__)
    return (uintptr_t)user->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)user->uc_mcontext.sp;
#elif defined(__riscv)
    return (uintptr_t)user->uc_mcontext.__gregs[REG_SP];
#else
    return 0;
#endif
}

static bool is_off(uintptr_t addr, uintptr_t sp, struct weft_stack_overflow *overflow_out)
{
    struct stack_place touched, running;
    if (!stack_map_find(addr, &touched) || !touched.is_guard)
        return false;
    bool is_below = sp == 0;
    bool is_above = false;
    if (sp != 0 && stack_map_find(sp, &running) && running.slab == touched.slab) {
        is_below = running.index == touched.index;
        is_above = running.index + 1 == touched.index;
    }
    overflow_out->size = sizeof(*overflow_out);
    overflow_out->address = (const void *)addr;
    overflow_out->stack_bytes = touched.stack_bytes;
    overflow_out->is_above = is_above;
    return is_below || is_above;
}

/*
 * The kernel found no room on the fiber's stack for the frame of another signal: it says so by a fault without an address. So does an
 * access to an address that is none; such a one within a frame's length of the stack's end is taken for the former.
 */
static bool is_frame_off(uintptr_t sp, struct weft_stack_overflow *overflow_out)
{
    struct stack_place running;
    if (!stack_map_find(sp, &running))
        return false;
    size_t frame_bytes = (size_t)getauxval(AT_MINSIGSTKSZ);
    frame_bytes = (frame_bytes < (size_t)MINSIGSTKSZ ? (size_t)MINSIGSTKSZ : frame_bytes) + FRAME_GAP_BYTES;
    *overflow_out = (struct weft_stack_overflow){.size = sizeof(*overflow_out), .stack_bytes = running.stack_bytes};
    overflow_out->address = (const void *)(running.low - 1);
    return running.is_guard || sp - running.low < frame_bytes;
}

bool overflow_recognise(const siginfo_t *info, const void *context, struct weft_stack_overflow *overflow_out)
{
    struct weft_stack_overflow overflow = {0};
    uintptr_t sp = stack_pointer(context);
    bool is_found = false;
    if (info->si_code == SI_KERNEL && info->si_addr == NULL)
        is_found = is_frame_off(sp, &overflow);
    else if (info->si_code > 0)
        is_found = is_off((uintptr_t)info->si_addr, sp, &overflow);
    if (is_found)
        *overflow_out = overflow;
    return is_found;
}

/* ---- telling -------------------------------------------------------------------------------------------------------------------- */

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void put_char(struct line *line, char character)
{
    if (line->len < sizeof(line->text) - 1) /* there is always room for the end of the line */
        line->text[line->len++] = character;
}

static void put_text(struct line *line, const char *text)
{
    while (*text != '\0')
        put_char(line, *text++);
}

static void put_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    while (count > 0)
        put_char(line, digits[--count]);
}

static void put_name(struct line *line, const char *name)
{
    for (size_t i = 0; name[i] != '\0' && i < NAME_BYTES_MAX; i++)
        put_char(line, (unsigned char)name[i] < ' ' || name[i] == '"' ? '?' : name[i]);
}

static void write_line(const struct weft_stack_overflow *overflow)
{
    struct line line = {.len = 0};
    put_text(&line, "weft: stack overflow in ");
    if (overflow->task_name == NULL) {
        put_text(&line, "a fiber without a task");
    } else {
        put_text(&line, "task ");
        put_number(&line, overflow->task_id, 10);
        put_text(&line, " \"");
        put_name(&line, overflow->task_name);
        put_text(&line, "\"");
    }
    put_text(&line, ": 0x");
    put_number(&line, (uintptr_t)overflow->address, 16);
    put_text(&line, overflow->is_above ? " lies above its stack of " : " lies below its stack of ");
    put_number(&line, overflow->stack_bytes, 10);
    put_text(&line, " bytes");
    line.text[line.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.len); /* what can be done has been done */
    (void)written;
}

/* The task that runs here: it is on this thread, so it is not being freed. */
static void name_task(struct weft_stack_overflow *overflow, struct line *name)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_task *task = loop == NULL ? NULL : task_get_current(loop);
    if (task == NULL)
        return;
    overflow->task_id = task->id;
    overflow->task_name = task->name;
    if (task->name != NULL)
        return;
    put_text(name, "Task-");
    put_number(name, task->number, 10);
    put_char(name, '\0');
    overflow->task_name = name->text;
}

/* Whom to tell, and his argument. One who is just coming or going is not told. */
static weft_stack_overflow_fn *read_tell(void **arg_out)
{
    /* Pairs with the last release in set_tell(). */
    uint32_t version = weft_atomic_load_acquire(&tell_version);
    /* Both Pairs with the releases of these words in set_tell(): a new one brings its odd version. */
    weft_stack_overflow_fn *fn = weft_atomic_load_acquire(&tell);
    *arg_out = weft_atomic_load_acquire(&tell_arg);
    return version % 2 == 0 && weft_atomic_load_relaxed(&tell_version) == version ? fn : NULL;
}

static void report(struct weft_stack_overflow *overflow)
{
    struct line name = {.len = 0};
    name_task(overflow, &name);
    void *arg;
    weft_stack_overflow_fn *fn = read_tell(&arg);
    if (fn == NULL)
        write_line(overflow);
    else
        fn(overflow, arg);
}

/* ---- handing on ----------------------------------------------------------------------------------------------------------------- */

/*
 * End as if nobody had handled the signal. A fault comes again as we return, then without a handler, and leaves a core of where it was;
 * what was sent, or what the kernel raised in place of another signal, has to be sent again.
 */
static void die(int number, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &action, NULL);
    if (info->si_code <= 0 || info->si_code == SI_KERNEL)
        (void)raise(number);
}

static void call(const struct sigaction *next, int number, siginfo_t *info, void *context)
{
    sigset_t mask_before;
    (void)pthread_sigmask(SIG_BLOCK, &next->sa_mask, &mask_before);
    if ((next->sa_flags & SA_NODEFER) != 0) {
        sigset_t own;
        sigemptyset(&own);
        sigaddset(&own, number);
        (void)pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    }
    if ((next->sa_flags & SA_SIGINFO) != 0)
        next->sa_sigaction(number, info, context);
    else
        next->sa_handler(number);
    (void)pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

static void hand_on(struct handled *each, siginfo_t *info, void *context)
{
    /* Pairs with the release in install_one(). */
    struct sigaction *before = &each->before[weft_atomic_load_acquire(&each->latest)];
    struct sigaction next = *before;
    bool is_default = next.sa_handler == SIG_DFL; /* with SA_SIGINFO too, as the kernel has it */
    bool is_ignored = next.sa_handler == SIG_IGN;
    if (is_ignored && info->si_code <= 0)
        return;
    if (is_default || is_ignored) { /* a fault cannot be ignored: the kernel's own way with it is to end the process */
        die(each->number, info);
        return;
    }
    if ((next.sa_flags & (int)SA_RESETHAND) != 0)
        *before = (struct sigaction){.sa_handler = SIG_DFL};
    call(&next, each->number, info, context);
}

static void handle(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct weft_stack_overflow overflow;
    if (weft_atomic_load_relaxed(&is_active) != 0 && overflow_recognise(info, context, &overflow))
        report(&overflow);
    errno = saved;
    hand_on(&handled[number == SIGBUS], info, context);
}

/* ---- installing ----------------------------------------------------------------------------------------------------------------- */

/* Nothing is called: whoever had his handler above ours has taken it away, and ours with it. */
static bool is_nobody(const struct sigaction *action)
{
    return action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN;
}

static int install_one(struct handled *each)
{
    uint32_t other = 1 - each->latest;
    struct sigaction present;
    if (sigaction(each->number, NULL, &present) != 0)
        return -errno;
    if (each->is_ours && !is_nobody(&present))
        return 0;
    each->is_ours = false;
    each->before[other] = present;
    /* Release: that one. Pairs with the acquire in hand_on(). */
    weft_atomic_store_release(&each->latest, other);
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaction(each->number, &action, NULL) != 0)
        return -errno;
    each->is_ours = true;
    return 0;
}

/* Somebody's handler that was installed since stays, and ours below it, which then only hands on. */
static void remove_one(struct handled *each)
{
    struct sigaction present;
    if (!each->is_ours || sigaction(each->number, NULL, &present) != 0)
        return;
    if ((present.sa_flags & SA_SIGINFO) == 0 || present.sa_sigaction != handle)
        return;
    each->is_ours = sigaction(each->number, &each->before[each->latest], NULL) != 0;
}

static void remove_all(void)
{
    weft_atomic_store_relaxed(&is_active, 0);
    for (int i = 0; i < HANDLED_COUNT; i++)
        remove_one(&handled[i]);
}

static void set_tell(weft_stack_overflow_fn *fn, void *arg)
{
    uint32_t version = tell_version;
    weft_atomic_store_relaxed(&tell_version, version + 1);
    /* Release, both: the odd version, and what `arg` leads to. Pairs with the acquires in read_tell(). */
    weft_atomic_store_release(&tell, fn);
    weft_atomic_store_release(&tell_arg, arg);
    /* Release: the pair. Pairs with the first acquire in read_tell(). */
    weft_atomic_store_release(&tell_version, version + 2);
}

static int install_handlers(void)
{
    int status = 0;
    for (int i = 0; i < HANDLED_COUNT && status == 0; i++)
        status = install_one(&handled[i]);
    return status;
}

static int install_all(void)
{
    int status = install_handlers();
    if (status < 0) {
        remove_all();
        return status;
    }
    weft_atomic_store_relaxed(&is_active, 1);
    /* Release: is_active. Pairs with the acquire in context_here(). */
    (void)weft_atomic_add_release(&overflow_epoch, 1);
    return 0;
}

static int install_locked(weft_stack_overflow_fn *fn, void *arg)
{
    if (fn != NULL && tell != NULL)
        return -EBUSY;
    int status = install_count == 0 ? install_all() : install_handlers();
    if (status < 0)
        return status;
    install_count++;
    if (fn != NULL)
        set_tell(fn, arg);
    return 0;
}

static void lock_for_fork(struct fork_watch *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
}

static void unlock_after_fork(struct fork_watch *unused)
{
    (void)unused;
    pthread_mutex_unlock(&lock);
}

/* A child finds the lock free, and the handlers as they were: they work there too. */
static void watch_forks(void)
{
    static struct fork_watch watch = {.before = lock_for_fork, .after = unlock_after_fork, .is_kept = true};
    (void)fork_watch_add(&watch);
}

int weft_stack_overflow_install(weft_stack_overflow_fn *fn, void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    int status = install_locked(fn, arg);
    pthread_mutex_unlock(&lock);
    return status;
}

void weft_stack_overflow_remove(void)
{
    pthread_mutex_lock(&lock);
    if (install_count > 0 && --install_count == 0) {
        remove_all();
        set_tell(NULL, NULL);
    }
    pthread_mutex_unlock(&lock);
}

void overflow_cover_thread(void)
{
    if (weft_atomic_load_relaxed(&is_active) != 0)
        (void)signal_stack_ensure();
}
