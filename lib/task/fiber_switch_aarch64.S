/*
 * The stack switch for AArch64 (AAPCS64): saves what a called function must keep, changes stacks, loads it back. Called by
 * fiber_switch.h alone. The invariant: a context that does not run is one frame of this shape, its address the context's `sp`.
 *
 *      0  x19 x20   16  x21 x22   32  x23 x24   48  x25 x26   64  x27 x28
 *     80  x29, x30: frame pointer, and where to go on
 *     96  d8 d9    112  d10 d11  128  d12 d13  144  d14 d15
 *    160  fpcr     168  unused
 *
 * It ends in a branch and not in a return: the processor predicts a return from the calls that it saw, which are the other stack's.
 * The branch lands behind a call in C, where no compiler puts a landing pad, so code built for branch protection returns instead.
 * x18 is a temporary on Linux and the platform's elsewhere: it is not touched.
 */
    .text

/* void fiber_frame_switch(void **from_sp, void *to_sp) */
    .globl fiber_frame_switch
    .hidden fiber_frame_switch
    .type fiber_frame_switch, %function
    .p2align 4
fiber_frame_switch:
    .cfi_startproc
    hint    #34                         /* bti c */
    mrs     x9, fpcr
    sub     x10, sp, #176               /* there is no red zone: sp moves before the stores */
    mov     sp, x10
    .cfi_def_cfa_offset 176
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    str     x9, [sp, #160]
    .cfi_offset x19, -176
    .cfi_offset x20, -168
    .cfi_offset x21, -160
    .cfi_offset x22, -152
    .cfi_offset x23, -144
    .cfi_offset x24, -136
    .cfi_offset x25, -128
    .cfi_offset x26, -120
    .cfi_offset x27, -112
    .cfi_offset x28, -104
    .cfi_offset x29, -96
    .cfi_offset x30, -88
    .cfi_offset d8, -80
    .cfi_offset d9, -72
    .cfi_offset d10, -64
    .cfi_offset d11, -56
    .cfi_offset d12, -48
    .cfi_offset d13, -40
    .cfi_offset d14, -32
    .cfi_offset d15, -24
    str     x10, [x0]
    mov     sp, x1                      /* the other frame has the same shape: the annotations hold on */
    ldr     x11, [sp, #160]
    cmp     x9, x11
    b.ne    .Lload_control
.Lload_registers:
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    .cfi_remember_state
    add     sp, sp, #176
    .cfi_def_cfa_offset 0
    .cfi_same_value x19
    .cfi_same_value x20
    .cfi_same_value x21
    .cfi_same_value x22
    .cfi_same_value x23
    .cfi_same_value x24
    .cfi_same_value x25
    .cfi_same_value x26
    .cfi_same_value x27
    .cfi_same_value x28
    .cfi_same_value x29
    .cfi_same_value x30
    .cfi_same_value d8
    .cfi_same_value d9
    .cfi_same_value d10
    .cfi_same_value d11
    .cfi_same_value d12
    .cfi_same_value d13
    .cfi_same_value d14
    .cfi_same_value d15
#if defined(__ARM_FEATURE_BTI_DEFAULT)
    ret
#else
    mov     x16, x30
    br      x16                         /* through x16: may land on the bti c of fiber_frame_enter */
#endif

    /* Off the hot path, as on x86-64; what writing fpcr costs was not measured. */
.Lload_control:
    .cfi_restore_state
    msr     fpcr, x11
    b       .Lload_registers
    .cfi_endproc
    .size fiber_frame_switch, . - fiber_frame_switch

/* void *fiber_frame_make(void *top, void (*entry)(void *), void *arg): a frame below `top` that goes on at entry(arg) */
    .globl fiber_frame_make
    .hidden fiber_frame_make
    .type fiber_frame_make, %function
    .p2align 4
fiber_frame_make:
    .cfi_startproc
    hint    #34                         /* bti c */
    and     x0, x0, #-16
    stp     xzr, xzr, [x0, #-16]!       /* a frame record of zeros: a frame-pointer walk ends there */
    mov     x9, x0
    sub     x0, x0, #176
    adr     x10, fiber_frame_enter
    mrs     x11, fpcr                   /* the maker's, as a new thread has its maker's */
    stp     x1, x2, [x0, #0]
    stp     xzr, xzr, [x0, #16]
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    stp     xzr, xzr, [x0, #64]
    stp     x9, x10, [x0, #80]
    stp     xzr, xzr, [x0, #96]
    stp     xzr, xzr, [x0, #112]
    stp     xzr, xzr, [x0, #128]
    stp     xzr, xzr, [x0, #144]
    stp     x11, xzr, [x0, #160]
    ret
    .cfi_endproc
    .size fiber_frame_make, . - fiber_frame_make

/* Where a made frame goes on: the bottom of every fiber's stack. */
    .type fiber_frame_enter, %function
    .p2align 4
fiber_frame_enter:
    .cfi_startproc
    .cfi_undefined x30                  /* unwinding ends here */
    hint    #34                         /* bti c */
    mov     x0, x20
    blr     x19
    brk     #1                          /* an entry never returns: there is nowhere to return to */
    .cfi_endproc
    .size fiber_frame_enter, . - fiber_frame_enter

    .section .note.GNU-stack, "", %progbits

#if defined(__ARM_FEATURE_BTI_DEFAULT)
    /* GNU_PROPERTY_AARCH64_FEATURE_1_AND with the BTI bit. */
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long   4, 16, 5
    .asciz  "GNU"
    .long   0xc0000000, 4, 1, 0
#endif
