; hello: a boot sector that prints a line and ends the run. Real mode only.
;
; Contract    512 bytes with 0x55 0xAA at the end, loaded at 0x7C00 and entered there in real mode by the BIOS, or by a
;             loader that acts as one. Nothing is assumed about registers, not even about CS:IP beyond the linear address.
; Memory      0x7C00..0x7DFF: this sector; below it, growing down: the stack.
; Ends        through the debug-exit port with value 0 (exit status 1).

cpu 8086
org 0x7c00
bits 16

COM1            equ 0x3f8
COM1_LCR        equ COM1 + 3                    ; line control
COM1_LSR        equ COM1 + 5                    ; line status
LCR_8N1         equ 3                           ; eight bits, no parity; the speed is left as firmware set it
LSR_THR_EMPTY   equ 1 << 5                      ; ready for the next character
DEBUG_EXIT_PORT equ 0xf4
SHUTDOWN_PORT   equ 0x8900                      ; Bochs: the letters "Shutdown" end the emulation

start:
    cli
    cld
    jmp 0:.based                                ; some loaders enter at 07C0:0000
.based:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, start

    mov dx, COM1_LCR
    mov al, LCR_8N1
    out dx, al

    mov si, message
.next:
    lodsb
    test al, al
    jz .printed
    mov ah, al
    mov dx, COM1_LSR
.busy:
    in al, dx
    test al, LSR_THR_EMPTY
    jz .busy
    mov dx, COM1
    mov al, ah
    out dx, al
    jmp .next

.printed:
    mov dx, DEBUG_EXIT_PORT
    xor al, al
    out dx, al

    mov si, shutdown                            ; still here: this is no QEMU
    mov dx, SHUTDOWN_PORT
.letter:
    lodsb
    out dx, al
    test al, al
    jnz .letter
.halt:
    hlt
    jmp .halt

message:
    db "Hello from real mode.", 10
    db "PASS hello", 10
    db "DONE", 10, 0
shutdown:
    db "Shutdown", 0

    times 510 - ($ - $$) db 0
    dw 0xaa55
