; rom: firmware in place of a BIOS, from the reset vector on: the state after power-up, code that runs at both places of
; the ROM, stores to it that are lost.
;
; Contract    64 KiB that end at 4 GiB and show once more below 1 MiB, read-only; entered at FFFFFFF0h in the state after
;             power-up. RAM below 640 KiB.
; Memory      7000h..7FFFh: stack.
; Ends        through the debug-exit port with value 0 (exit status 1), or 1 after a FAIL (3).

cpu 586
org 0
bits 16

COM1            equ 0x3f8
COM1_LCR        equ COM1 + 3                    ; line control
COM1_LSR        equ COM1 + 5                    ; line status
LCR_8N1         equ 3
LSR_THR_EMPTY   equ 1 << 5                      ; ready for the next character
DEBUG_EXIT_PORT equ 0xf4
STACK           equ 0x8000
HIGH            equ 0xffff0000                  ; where the ROM begins below 4 GiB
LOW             equ 0xf0000                     ; and below 1 MiB
RESET_CR0       equ 0x60000010                  ; CD, NW, ET
CODE32          equ 0x08
DATA32          equ 0x10
CODE16          equ 0x18

; Fails the run unless the flags of a comparison say it is equal.
%macro check 1
    mov si, %%name
    call report
    jmp %%end
%%name:
    db %1, 0
%%end:
%endmacro

    times 16 db 0x90
start:                                          ; near jump from the reset vector: CS still has its base of FFFF0000h
    cli
    cld
    mov ebx, edx                                ; family, model, stepping
    mov edi, eax
    mov ecx, cr0
    xor ax, ax
    mov ss, ax
    mov sp, STACK
    mov ds, ax
    mov es, ax
    mov byte [failures], 0

    mov dx, COM1_LCR
    mov al, LCR_8N1
    out dx, al

    test edi, edi
    check "EAX is 0 after power-up"
    mov ax, cs
    cmp ax, 0xf000
    check "CS is F000h"
    cmp ecx, RESET_CR0
    check "CR0 has CD, NW and ET"
    shr ebx, 8
    and bl, 0x0f
    neg bl
    sbb bl, bl
    inc bl                                      ; 0 unless the family is 0
    check "EDX has the processor's family"
    a32 cmp dword [cs:marker], MARKER
    check "code and data lie at the top of 4 GiB"

    jmp 0xf000:.low                             ; loads CS: from here on its base is F0000h
.low:
    cmp dword [cs:marker], MARKER
    check "the ROM shows once more below 1 MiB"
    mov ax, LOW >> 4
    mov ds, ax
    mov dword [marker], 0
    cmp dword [marker], MARKER
    check "a store to it is lost"
    lock inc dword [marker]
    cmp dword [marker], MARKER
    check "and so is a locked one"
    mov es, ax
    mov di, marker
    mov eax, 0x11223344
    mov cx, 4
    rep stosd
    cmp dword [marker], MARKER
    check "and one of a string instruction"
    mov byte [.changed + 1], 2                  ; in the code that runs next
.changed:
    mov al, 1
    cmp al, 1
    check "code in it does not change"
    xor ax, ax
    mov ds, ax
    mov es, ax

    o32 lgdt [cs:gdt_pointer]                   ; the table lies in the ROM as well
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE32:HIGH + protected

bits 32
protected:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    xor ebx, ebx                                ; what went wrong
    call .here
.here:
    pop eax
    cmp eax, HIGH + .here
    setne bl
    cmp dword [HIGH + marker], MARKER
    setne bh
    mov dword [HIGH + marker], 0
    xor dword [HIGH + marker], 1
    cmp dword [HIGH + marker], MARKER
    setne cl
    mov eax, [HIGH + gdt + DATA32 + 4]          ; the accessed bit of a descriptor that was loaded
    test ah, 1
    setnz ch
    shl ecx, 16
    or ebx, ecx
    jmp CODE16:leave_protected

bits 16
leave_protected:
    mov eax, cr0
    and al, ~1
    mov cr0, eax
    jmp 0xf000:.real
.real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK
    test bl, bl
    check "protected mode runs code below 4 GiB"
    test bh, bh
    check "and reads data there"
    shr ebx, 16
    test bl, bl
    check "stores to it are lost"
    test bh, bh
    check "a descriptor there stays not accessed"

    mov si, done
    call print
    mov al, [failures]
    mov dx, DEBUG_EXIT_PORT
    out dx, al
.halt:
    hlt
    jmp .halt

; "PASS name" if ZF is set, else "FAIL name". @param CS:SI name
report:
    push si
    mov si, pass
    jz .say
    mov byte [failures], 1
    mov si, fail
.say:
    call print
    pop si
    call print
    mov si, newline
; @param CS:SI text that ends with 0
print:
    cs lodsb
    test al, al
    jz .done
    mov ah, al
    mov dx, COM1_LSR
.busy:
    in al, dx
    test al, LSR_THR_EMPTY
    jz .busy
    mov dx, COM1
    mov al, ah
    out dx, al
    jmp print
.done:
    ret

failures        equ 0x7000

pass:           db "PASS ", 0
fail:           db "FAIL ", 0
newline:        db 10, 0
done:           db "DONE", 10, 0

align 8
MARKER          equ 0x57f00d99
marker:         dd MARKER

align 8
gdt:
    dq 0
    dq 0x00cf9a000000ffff                       ; code, 32 bits, flat, not accessed
    dq 0x00cf92000000ffff                       ; data, flat, not accessed
    dq 0x00009a0f0000ffff                       ; code, 16 bits, at F0000h, not accessed
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd HIGH + gdt

    times 0xfff0 - ($ - $$) db 0
reset:
    jmp near start
    times 0x10000 - ($ - $$) db 0
