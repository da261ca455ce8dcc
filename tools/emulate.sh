#!/usr/bin/env bash
# Run a test of another machine under qemu's user mode, with that machine's C library. Scripts are of no machine: they run as they are.
header=$(head -c 20 "$1" | od -An -v -tx1 | tr -d ' \n')
case $header in
7f454c46*b700) machine=aarch64 ;;
7f454c46*f300) machine=riscv64 ;;
*) exec "$@" ;;
esac
exec "qemu-$machine" -L "/usr/$machine-linux-gnu" "$@"
