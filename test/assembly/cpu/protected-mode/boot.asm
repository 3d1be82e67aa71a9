; Boot sector for recording guest.asm on Bochs or QEMU: reads 300 sectors to 10000H and enters flat 32-bit ring 0.
;
;     nasm -f bin -o boot.bin boot.asm; cat boot.bin guest.bin > floppy.img; truncate -s 1474560 floppy.img
;     bochs -q -f bochsrc      (com1 in mode "file" receives the lines)
SECTORS equ 300
SECTORS_PER_TRACK equ 18
HEADS equ 2
bits 16
org 0x7c00
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov [drive], dl
.read:
    mov ax, [sector]
    xor dx, dx
    mov cx, SECTORS_PER_TRACK
    div cx
    mov cl, dl
    inc cl
    xor dx, dx
    mov bx, HEADS
    div bx
    mov ch, al
    mov dh, dl
    mov dl, [drive]
    mov es, [segment_]
    xor bx, bx
    mov ax, 0x0201
    int 0x13
    add word [segment_], 0x20
    inc word [sector]
    cmp word [sector], SECTORS
    jb .read
    in al, 0x92                                 ; A20
    or al, 2
    out 0x92, al
    lgdt [gdtr]
    mov eax, 0x11
    mov cr0, eax
    jmp 8:protected
bits 32
protected:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    jmp 0x10000
gdtr:
    dw 23
    dd gdt
align 8
gdt:
    dq 0, 0xcf9a000000ffff, 0xcf92000000ffff
drive: db 0
segment_: dw 0x1000
sector: dw 1
times 510 - ($ - $$) db 0
dw 0xaa55
