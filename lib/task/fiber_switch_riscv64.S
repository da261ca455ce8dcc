/*
 * The stack switch for 64-bit RISC-V (lp64d): saves what a called function must keep, changes stacks, loads it back. Called by
 * fiber_switch.h alone. The invariant: a context that does not run is one frame of this shape, its address the context's `sp`.
 *
 *      0  s0 (frame pointer)   8  s1   16 to 88  s2 to s11
 *     96  ra: where to go on
 *    104  the rounding mode (frm); 8 bytes, so that the frame is a multiple of 16
 *    112  fs0   120  fs1   128 to 200  fs2 to fs11
 *
 * It ends in a jump through t2 and not in a return: a jump through ra (or t0) tells the processor to predict it from the calls that it
 * saw, which are the other stack's. gp and tp are the program's and the thread's: they are not touched.
 */
#if __riscv_xlen != 64 || !defined(__riscv_float_abi_double)
#error "written for lp64d: 64 bits, doubles in registers"
#endif

    .text

/* void fiber_frame_switch(void **from_sp, void *to_sp) */
    .globl fiber_frame_switch
    .hidden fiber_frame_switch
    .type fiber_frame_switch, @function
    .p2align 4
fiber_frame_switch:
    .cfi_startproc
    frrm    t1
    addi    sp, sp, -208                /* there is no red zone: sp moves before the stores */
    .cfi_def_cfa_offset 208
    sd      s0, 0(sp)
    sd      s1, 8(sp)
    sd      s2, 16(sp)
    sd      s3, 24(sp)
    sd      s4, 32(sp)
    sd      s5, 40(sp)
    sd      s6, 48(sp)
    sd      s7, 56(sp)
    sd      s8, 64(sp)
    sd      s9, 72(sp)
    sd      s10, 80(sp)
    sd      s11, 88(sp)
    sd      ra, 96(sp)
    sd      t1, 104(sp)
    fsd     fs0, 112(sp)
    fsd     fs1, 120(sp)
    fsd     fs2, 128(sp)
    fsd     fs3, 136(sp)
    fsd     fs4, 144(sp)
    fsd     fs5, 152(sp)
    fsd     fs6, 160(sp)
    fsd     fs7, 168(sp)
    fsd     fs8, 176(sp)
    fsd     fs9, 184(sp)
    fsd     fs10, 192(sp)
    fsd     fs11, 200(sp)
    .cfi_offset s0, -208
    .cfi_offset s1, -200
    .cfi_offset s2, -192
    .cfi_offset s3, -184
    .cfi_offset s4, -176
    .cfi_offset s5, -168
    .cfi_offset s6, -160
    .cfi_offset s7, -152
    .cfi_offset s8, -144
    .cfi_offset s9, -136
    .cfi_offset s10, -128
    .cfi_offset s11, -120
    .cfi_offset ra, -112
    .cfi_offset fs0, -96
    .cfi_offset fs1, -88
    .cfi_offset fs2, -80
    .cfi_offset fs3, -72
    .cfi_offset fs4, -64
    .cfi_offset fs5, -56
    .cfi_offset fs6, -48
    .cfi_offset fs7, -40
    .cfi_offset fs8, -32
    .cfi_offset fs9, -24
    .cfi_offset fs10, -16
    .cfi_offset fs11, -8
    sd      sp, 0(a0)
    mv      sp, a1                      /* the other frame has the same shape: the annotations hold on */
    ld      t0, 104(sp)
    bne     t0, t1, .Lload_control
.Lload_registers:
    ld      s0, 0(sp)
    ld      s1, 8(sp)
    ld      s2, 16(sp)
    ld      s3, 24(sp)
    ld      s4, 32(sp)
    ld      s5, 40(sp)
    ld      s6, 48(sp)
    ld      s7, 56(sp)
    ld      s8, 64(sp)
    ld      s9, 72(sp)
    ld      s10, 80(sp)
    ld      s11, 88(sp)
    ld      ra, 96(sp)
    fld     fs0, 112(sp)
    fld     fs1, 120(sp)
    fld     fs2, 128(sp)
    fld     fs3, 136(sp)
    fld     fs4, 144(sp)
    fld     fs5, 152(sp)
    fld     fs6, 160(sp)
    fld     fs7, 168(sp)
    fld     fs8, 176(sp)
    fld     fs9, 184(sp)
    fld     fs10, 192(sp)
    fld     fs11, 200(sp)
    .cfi_remember_state
    addi    sp, sp, 208
    .cfi_def_cfa_offset 0
    .cfi_same_value s0
    .cfi_same_value s1
    .cfi_same_value s2
    .cfi_same_value s3
    .cfi_same_value s4
    .cfi_same_value s5
    .cfi_same_value s6
    .cfi_same_value s7
    .cfi_same_value s8
    .cfi_same_value s9
    .cfi_same_value s10
    .cfi_same_value s11
    .cfi_same_value ra
    .cfi_same_value fs0
    .cfi_same_value fs1
    .cfi_same_value fs2
    .cfi_same_value fs3
    .cfi_same_value fs4
    .cfi_same_value fs5
    .cfi_same_value fs6
    .cfi_same_value fs7
    .cfi_same_value fs8
    .cfi_same_value fs9
    .cfi_same_value fs10
    .cfi_same_value fs11
    mv      t2, ra
    jr      t2

    /* Off the hot path, as on x86-64; what writing the mode costs was not measured. The flags of past sums stay what they are. */
.Lload_control:
    .cfi_restore_state
    fsrm    t0
    j       .Lload_registers
    .cfi_endproc
    .size fiber_frame_switch, . - fiber_frame_switch

/* void *fiber_frame_make(void *top, void (*entry)(void *), void *arg): a frame below `top` that goes on at entry(arg) */
    .globl fiber_frame_make
    .hidden fiber_frame_make
    .type fiber_frame_make, @function
    .p2align 4
fiber_frame_make:
    .cfi_startproc
    andi    a0, a0, -16
    sd      zero, -8(a0)                /* a frame record of zeros below what s0 names: a frame-pointer walk ends there */
    sd      zero, -16(a0)
    mv      t0, a0
    addi    a0, a0, -224
    lla     t1, fiber_frame_enter
    frrm    t2                          /* the maker's, as a new thread has its maker's */
    sd      t0, 0(a0)
    sd      a1, 8(a0)
    sd      a2, 16(a0)
    sd      zero, 24(a0)
    sd      zero, 32(a0)
    sd      zero, 40(a0)
    sd      zero, 48(a0)
    sd      zero, 56(a0)
    sd      zero, 64(a0)
    sd      zero, 72(a0)
    sd      zero, 80(a0)
    sd      zero, 88(a0)
    sd      t1, 96(a0)
    sd      t2, 104(a0)
    sd      zero, 112(a0)
    sd      zero, 120(a0)
    sd      zero, 128(a0)
    sd      zero, 136(a0)
    sd      zero, 144(a0)
    sd      zero, 152(a0)
    sd      zero, 160(a0)
    sd      zero, 168(a0)
    sd      zero, 176(a0)
    sd      zero, 184(a0)
    sd      zero, 192(a0)
    sd      zero, 200(a0)
    ret
    .cfi_endproc
    .size fiber_frame_make, . - fiber_frame_make

/* Where a made frame goes on: the bottom of every fiber's stack. */
    .type fiber_frame_enter, @function
    .p2align 4
fiber_frame_enter:
    .cfi_startproc
    .cfi_undefined ra                   /* unwinding ends here */
    mv      a0, s2
    jalr    s1
    ebreak                              /* an entry never returns: there is nowhere to return to */
    .cfi_endproc
    .size fiber_frame_enter, . - fiber_frame_enter

    .section .note.GNU-stack, "", @progbits
