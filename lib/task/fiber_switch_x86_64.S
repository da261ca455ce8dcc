/*
 * The stack switch for x86-64 (System V): saves what a called function must keep, changes stacks, loads it back. Called by
 * fiber_switch.h alone. The invariant: a context that does not run is one frame of this shape, its address the context's `sp`.
 *
 *      0  mxcsr (32 bits), x87 control word (16 bits), 16 bits unused
 *      8  rbx   16  rbp   24  r12   32  r13   40  r14   48  r15
 *     56  where to go on
 *
 * It ends in a jump and not in a return: the processor predicts a return from the calls that it saw, which are the other stack's.
 * The jump lands behind a call in C, where no compiler puts an endbr64; hence notrack. No shadow stack is switched, and so the
 * object does not claim one: the linker then leaves it off for the whole program.
 */
    .text

/* void fiber_frame_switch(void **from_sp, void *to_sp) */
    .globl fiber_frame_switch
    .hidden fiber_frame_switch
    .type fiber_frame_switch, @function
    .p2align 5
fiber_frame_switch:
    .cfi_startproc
    endbr64
    leaq    -56(%rsp), %rdx             /* in the red zone: no signal handler writes there */
    stmxcsr (%rdx)
    fnstcw  4(%rdx)
    movq    %rbx, 8(%rdx)
    movq    %rbp, 16(%rdx)
    movq    %r12, 24(%rdx)
    movq    %r13, 32(%rdx)
    movq    %r14, 40(%rdx)
    movq    %r15, 48(%rdx)
    movq    %rdx, (%rdi)
    movl    (%rdx), %eax
    movzwl  4(%rdx), %edx
    movq    %rsi, %rsp
    .cfi_def_cfa_offset 64
    .cfi_offset %rbx, -56
    .cfi_offset %rbp, -48
    .cfi_offset %r12, -40
    .cfi_offset %r13, -32
    .cfi_offset %r14, -24
    .cfi_offset %r15, -16
    xorl    (%rsp), %eax
    andl    $0xffc0, %eax               /* the low six bits of mxcsr are status, which no caller expects back */
    xorw    4(%rsp), %dx
    orl     %edx, %eax
    jne     .Lload_control
.Lload_registers:
    movq    56(%rsp), %rcx
    movq    8(%rsp), %rbx
    movq    16(%rsp), %rbp
    movq    24(%rsp), %r12
    movq    32(%rsp), %r13
    movq    40(%rsp), %r14
    movq    48(%rsp), %r15
    .cfi_remember_state
    leaq    64(%rsp), %rsp
    .cfi_def_cfa_offset 0
    .cfi_register %rip, %rcx
    .cfi_same_value %rbx
    .cfi_same_value %rbp
    .cfi_same_value %r12
    .cfi_same_value %r13
    .cfi_same_value %r14
    .cfi_same_value %r15
    notrack jmp *%rcx

    /*
     * Off the hot path. On the machine that we measured, loading the same words again costs about 1 ns and another rounding mode about
     * 2, but an mxcsr with other status bits 50 to 100: one inexact sum on one side would do it. So status alone never leads here.
     */
.Lload_control:
    .cfi_restore_state
    ldmxcsr (%rsp)
    fldcw   4(%rsp)
    jmp     .Lload_registers
    .cfi_endproc
    .size fiber_frame_switch, . - fiber_frame_switch

/* void *fiber_frame_make(void *top, void (*entry)(void *), void *arg): a frame below `top` that goes on at entry(arg) */
    .globl fiber_frame_make
    .hidden fiber_frame_make
    .type fiber_frame_make, @function
    .p2align 4
fiber_frame_make:
    .cfi_startproc
    endbr64
    andq    $-16, %rdi
    leaq    -80(%rdi), %rax             /* 16 bytes of zeros above the frame: a frame-pointer walk ends there */
    stmxcsr (%rax)                      /* the maker's control words, as a new thread has its maker's */
    fnstcw  4(%rax)
    movw    $0, 6(%rax)
    movq    %rsi, 8(%rax)
    leaq    64(%rax), %rcx
    movq    %rcx, 16(%rax)
    movq    %rdx, 24(%rax)
    xorl    %ecx, %ecx
    movq    %rcx, 32(%rax)
    movq    %rcx, 40(%rax)
    movq    %rcx, 48(%rax)
    movq    %rcx, 64(%rax)
    movq    %rcx, 72(%rax)
    leaq    fiber_frame_enter(%rip), %rcx
    movq    %rcx, 56(%rax)
    ret
    .cfi_endproc
    .size fiber_frame_make, . - fiber_frame_make

/* Where a made frame goes on: the bottom of every fiber's stack. */
    .type fiber_frame_enter, @function
    .p2align 4
fiber_frame_enter:
    .cfi_startproc
    .cfi_undefined %rip                 /* unwinding ends here */
    endbr64
    movq    %r12, %rdi
    leaq    .Lreturned(%rip), %rax
    pushq   %rax                        /* no call, for the sake of the returns after the fiber's end: see fiber_frame_jump() */
    jmp     *%rbx
.Lreturned:
    ud2                                 /* an entry never returns: there is nowhere to return to */
    .cfi_endproc
    .size fiber_frame_enter, . - fiber_frame_enter

    .section .note.GNU-stack, "", @progbits

#if defined(__CET__) && (__CET__ & 1)
    /* GNU_PROPERTY_X86_FEATURE_1_AND with the IBT bit alone. */
    .section .note.gnu.property, "a", @note
    .p2align 3
    .long   4, 16, 5
    .asciz  "GNU"
    .long   0xc0000002, 4, 1, 0
#endif
