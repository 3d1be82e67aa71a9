; protected-mode: what loads, transfers, gates, returns and task switches do in rings 0, 1 and 3 and in virtual-8086 mode.
;
; Every case runs a few instructions and ends in an interrupt or exception; its handler prints one line with all that the
; event left behind, in hexadecimal:
;
;     gs fs es ds  edi esi ebp esp ebx edx ecx eax  vector error eip cs eflags, and the six doublewords above them
;     | esp tr cr0.ts dr6 dr7 eflags ldtr | "g" offset value: changed in the GDT | "t" offset value: changed in the TSSs
;
; Then GDT, IDT and TSSs are put back for the next case. The lines are compared with those of Bochs (bochs.txt).
; Loaded at 10000H and entered in flat 32-bit ring 0; prints on COM1; ends through port F4H or, on Bochs, port 8900H.
;
;     10000 this image   50000 16-bit stack   58000 TSSs and LDT   59000 copies   5B000 IDT   60000 stacks
bits 32
org 0x10000
%define GDTN 0x4e                               ; doublewords of the GDT
%define STK0 0x60000                            ; ring 0
%define STK1 0x62000
%define STK3 0x64000
%define STKA 0x66000                            ; of the second task
entry:
    cld
    mov esp, STK0
    lgdt [gdtr]
    jmp 0x08:.1
.1:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov dx, 0x3fb
    mov al, 0x80
    out dx, al
    mov dx, 0x3f8
    mov al, 1
    out dx, al
    inc dx
    mov al, 0
    out dx, al
    mov dx, 0x3fb
    mov al, 3
    out dx, al
; 8259 masked
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
; build IDT
    mov edi, idt
    mov esi, stubs
    xor ecx, ecx
.2:
    mov eax, esi
    mov [edi], ax
    mov word [edi+2], 8
    mov word [edi+4], 0x8e00
    cmp ecx, 3
    jb .a
    cmp ecx, 4
    ja .a
    mov word [edi+4], 0xee00
.a:
    shr eax, 16
    mov [edi+6], ax
    add edi, 8
    add esi, 16
    inc ecx
    cmp ecx, 0x90
    jb .2
    mov word [idt+0x80*8+4], 0xef00
    mov word [idt+0x81*8+4], 0xee00
    mov esi, gates
.g:
    mov edi, [esi]
    mov eax, [esi+4]
    mov [edi+2], ax
    mov eax, [esi+8]
    mov [edi], ax
    shr eax, 16
    mov [edi+6], ax
    mov eax, [esi+12]
    mov [edi+4], ax
    add esi, 16
    cmp esi, gates_end
    jb .g
    mov esi, tss_image
    mov edi, tss
    mov ecx, 0x100
    rep movsd
    lidt [idtr]
    mov dword [cur], tests
; save pristine
    mov esi, gdt
    mov edi, gdtcopy
    mov ecx, GDTN
    rep movsd
    mov esi, tss
    mov edi, tsscopy
    mov ecx, 0x100
    rep movsd
    mov esi, idt
    mov edi, idtcopy
    mov ecx, 0x90*2
    rep movsd
next:
    mov esp, STK0
    cld
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr0
    and eax, ~8
    mov cr0, eax
    mov esi, gdtcopy
    mov edi, gdt
    mov ecx, GDTN
    rep movsd
    mov esi, tsscopy
    mov edi, tss
    mov ecx, 0x100
    rep movsd
    mov esi, idtcopy
    mov edi, idt
    mov ecx, 0x90*2
    rep movsd
; clear stacks
    mov edi, 0x5f000
    mov ecx, 0x8000/4
    xor eax, eax
    rep stosd
    mov ax, 0x70
    ltr ax
    mov ax, 0x88
    lldt ax
    xor eax, eax
    mov cr4, eax
    mov dr7, eax
    mov eax, 0xffff0ff0
    mov dr6, eax
    push 2
    popfd
    mov eax, 0x10
    mov fs, ax
    mov gs, ax
    mov esi, [cur]
    mov edx, [esi]
    test edx, edx
    jz done
    add dword [cur], 12
    push esi
    mov esi, edx
    call puts
    pop esi
    mov ebx, [esi+4]      ; mode
    mov ebp, [esi+8]      ; entry
    test ebx, ebx
    js vme
    cmp ebx, 3
    je ring3
    cmp ebx, 4
    je v86
    cmp ebx, 5
    je v86i
    cmp ebx, 1
    je ring1
    mov edi, 0x11111111
    xor eax, eax
    mov ecx, eax
    mov edx, eax
    mov esi, eax
    mov ebx, eax
    jmp ebp
ring3:
    mov ax, 0x23
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    push 0x23
    push STK3
    push 0x202
    push 0x1b
    push ebp
    xor eax, eax
    mov ecx, eax
    mov edx, eax
    mov ebx, eax
    mov esi, eax
    iret
ring1:
    push 0xc1
    push STK1+0x800
    push 0x1202
    push 0xb9
    push ebp
    xor eax, eax
    mov ecx, eax
    mov edx, eax
    mov ebx, eax
    mov esi, eax
    iret
; 80000000H and flags: virtual-8086 mode with CR4.VME; C0000000H and flags: ring 3 with CR4.PVI. The redirection bit map
; lies in the registers of the TSS: 80H to 87H are the monitor's, 21H the program's.
vme:
    mov ecx, ebx
    and ecx, 0x3fffffff
    mov byte [tss+0x48+0x80/8], 0xff
    mov dword [0x21*4], 0x10000000+vme_int21-0x10000
    test ebx, 0x40000000
    jnz pvi
    mov eax, 1
    mov cr4, eax
    jmp v86x
pvi:
    mov eax, 2
    mov cr4, eax
    or ecx, 0x202
    push 0x23
    push STK3
    push ecx
    push 0x1b
    push ebp
    mov ax, 0x23
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    xor eax, eax
    mov ecx, eax
    mov edx, eax
    mov ebx, eax
    mov esi, eax
    iret
v86i:
    mov ecx, 0x3000
    jmp v86x
v86:
    xor ecx, ecx
v86x:
    push 0x1234
    push 0x2345
    push 0x3456
    push 0x4567
    push 0x5000
    push 0xfff0
    mov eax, 0x20202
    or eax, ecx
    push eax
    push 0x1000
    sub ebp, 0x10000
    push ebp
    xor eax, eax
    mov ecx, eax
    mov edx, eax
    mov ebx, eax
    mov esi, eax
    iret
done:
    mov esi, endmsg
    call puts
; exits: x2vm/qemu debug exit, bochs
    mov dx, 0xf4
    mov al, 0
    out dx, al
    mov dx, 0x8900
    mov esi, shut
.s:
    lodsb
    test al, al
    jz .h
    out dx, al
    jmp .s
.h:
    cli
    hlt
    jmp .h
shut:
    db "Shutdown",0
endmsg:
    db 10,"END",10,0
putc:
    push edx
    push eax
    mov dx, 0x3fd
.w:
    in al, dx
    test al, 0x20
    jz .w
    pop eax
    mov dx, 0x3f8
    out dx, al
    pop edx
    ret
puts:
    push eax
.l:
    lodsb
    test al, al
    jz .e
    call putc
    jmp .l
.e:
    pop eax
    ret
hex8:
    ; eax
    push ecx
    push eax
    mov ecx, 8
.l:
    rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    jb .d
    add al, 'a'-'0'-10
.d:
    add al, '0'
    call putc
    pop eax
    loop .l
    mov al, ' '
    call putc
    pop eax
    pop ecx
    ret
    align 16
stubs:
%assign i 0
%rep 0x90
    align 16
%if i=8 || (i>=10 && i<=14) || i=17
%else
    push dword 0x5a5a
%endif
    push dword i
    jmp gather
%assign i i+1
%endrep
gather:
    pushad
    push ds
    push es
    push fs
    push gs
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, dr7
    mov [dr7v], eax
    xor eax, eax
    mov dr7, eax
    cld
    mov al, 10
    call putc
; frame: gs fs es ds, edi esi ebp esp ebx edx ecx eax, vec, err, eip, cs, eflags, [esp ss][es ds fs gs]
    mov esi, esp
    mov ecx, 23
.l:
    lodsd
; mask sreg pushes to 16 bits
    cmp ecx, 20
    jb .n
    and eax, 0xffff
.n:
    call hex8
    loop .l
; esp of the frame, ss, tr, cr0.ts, dr6
    mov al, '|'
    call putc
    mov eax, esp
    call hex8
    xor eax, eax
    str ax
    call hex8
    mov eax, cr0
    and eax, 8
    call hex8
    mov eax, dr6
    call hex8
    mov eax, [dr7v]
    and eax, 0xffff
    call hex8
    pushfd
    pop eax
    and eax, ~0x8d5
    call hex8
    sldt ax
    and eax, 0xffff
    call hex8
; changed gdt entries
    mov esi, gdt
    mov edi, gdtcopy
    mov ecx, GDTN
.g:
    mov eax, [esi]
    cmp eax, [edi]
    je .s
    cmp esi, gdt+0x70+4
    je .s
    push eax
    mov al, 'g'
    call putc
    mov eax, esi
    sub eax, gdt
    call hex8
    pop eax
    call hex8
.s:
    add esi, 4
    add edi, 4
    loop .g
    mov esi, tss
    mov edi, tsscopy
    mov ecx, 0x100
.t:
    mov eax, [esi]
    cmp eax, [edi]
    je .u
    push eax
    mov al, 't'
    call putc
    mov eax, esi
    sub eax, tss
    call hex8
    pop eax
    call hex8
.u:
    add esi, 4
    add edi, 4
    loop .t
    jmp next

%assign tn 0
; A case: name; 0, 1, 3 = ring, 4 = virtual-8086 with IOPL 0, 5 = with IOPL 3, 80000000H and more: see vme. Falls into an INT 81H at the end.
%macro T 2
%assign tn tn+1
    [section .tab]
    dd tname_%[tn], %2, test_%[tn]
    [section .names]
tname_%[tn]:
    db 10,%1,": ",0
    [section .tests]
    db 0xcd, 0x81
test_%[tn]:
%endmacro
; End of a case that got through.
%define TE int 0x81

; #DF, #TS, #NP and #SS go to a task of their own: for cases that spoil the stack of ring 0.
%macro RESCUE 0
    mov dword [idt+8*8], 0x1200000
    mov dword [idt+8*8+4], 0x8500
    mov dword [idt+10*8], 0x1200000
    mov dword [idt+10*8+4], 0x8500
    mov dword [idt+11*8], 0x1200000
    mov dword [idt+11*8+4], 0x8500
    mov dword [idt+12*8], 0x1200000
    mov dword [idt+12*8+4], 0x8500
%endmacro

section .tests align=16 follows=.text
section .tab align=4 follows=.tests
tests:
section .names align=4 follows=.tab
section .tests
; Every selector of the GDT in every place that takes one, from rings 0 and 3.
%assign m 0
%rep 2
%assign s 0
%rep 0x23
%defstr mm m
%defstr ss_ s
T {"ds ", mm, " ", ss_}, m
    mov eax, s*8
    mov ds, ax
    mov bx, ds
    TE
T {"ds rpl3 ", mm, " ", ss_}, m
    mov eax, s*8+3
    mov gs, ax
    mov bx, gs
    TE
T {"ss ", mm, " ", ss_}, m
    mov eax, s*8+m
    mov ss, ax
    mov bx, ss
    TE
T {"verr ", mm, " ", ss_}, m
    mov eax, s*8+m
    verr ax
    pushfd
    pop ebx
    verw ax
    pushfd
    pop ecx
    and ebx, 0x40
    and ecx, 0x40
    lsl edx, ax
    pushfd
    pop esi
    and esi, 0x40
    mov ebp, 0x5555
    lar ebp, ax
    and ebp, 0xfff0ffff
    pushfd
    pop edi
    and edi, 0x40
    and eax, 0
    TE
%if s<>26 && s<>5
T {"jmpf ", mm, " ", ss_}, m
    push dword s*8+m
    push dword .after
    jmp far [esp]
.after:
    TE
%endif
%if s<>26 && s<>5
T {"callf ", mm, " ", ss_}, m
    push dword s*8+m
    push dword .after2
    call far [esp]
.after2:
    TE
%endif
%if s<>26 && s<>5
T {"retf ", mm, " ", ss_}, m
    push dword s*8+m
    push dword .after3
    retf
.after3:
    TE
%endif
%if s<>26 && s<>5
T {"iret ", mm, " ", ss_}, m
    push dword 0x202
    push dword s*8+m
    push dword .after4
    iret
.after4:
    TE
%endif
%if m=0
T {"retf3 ", mm, " ", ss_}, m
    push dword 0x23
    push dword STK3
    push dword s*8+3
    push dword .after5
    retf
.after5:
    TE
T {"iret3ss ", mm, " ", ss_}, m
    push dword s*8+3
    push dword STK3
    push dword 0x202
    push dword 0x1b
    push dword .after6
    iret
.after6:
    TE
T {"iret1 ", mm, " ", ss_}, m
    push dword 0xc1
    push dword STK1
    push dword 0x3202
    push dword s*8+1
    push dword .after7
    iret
.after7:
    TE
T {"ltr ", mm, " ", ss_}, m
    mov eax, s*8
    ltr ax
    TE
T {"lldt ", mm, " ", ss_}, m
    mov eax, s*8
    lldt ax
    mov eax, 0xf
    mov gs, ax
    TE
%if s<>14
T {"taskgate-link ", mm, " ", ss_}, m
    mov word [tss], s*8
    push 0x4002
    popfd
    iret
    TE
%endif
%endif
%assign s s+1
%endrep
%assign m 3
%endrep

; Every kind of gate, and instructions that depend on the ring.
%assign m 0
%rep 2
%assign s 0x40
%rep 0x18
%defstr mm m
%defstr ss_ s
T {"int ", mm, " ", ss_}, m
    int s
    TE
%assign s s+1
%endrep
T {"int3 ", mm}, m
    int3
    TE
T {"into ", mm}, m
    mov al, 0x7f
    inc al
    into
    TE
T {"int1 ", mm}, m
    db 0xf1
    TE
T {"int 13 ", mm}, m
    int 13
    TE
T {"int 14 ", mm}, m
    int 14
    TE
T {"ud ", mm}, m
    ud2
    TE
T {"de ", mm}, m
    div al
    TE
T {"hlt ", mm}, m
%if m=3
    hlt
%endif
    TE
T {"cli ", mm}, m
    cli
    TE
T {"sti ", mm}, m
    sti
    TE
T {"popf all ", mm}, m
    push dword 0x647ed5
    popfd
    pushfd
    pop eax
    TE
T {"popf vm ", mm}, m
    push dword 0x270002
    popfd
    pushfd
    pop eax
    TE
T {"popf16 ", mm}, m
    push word 0x7ed5
    popf
    pushf
    pop ax
    TE
T {"iret flags ", mm}, m
    push dword 0x257ed7
%if m=3
    push dword 0x1b
%else
    push dword 8
%endif
    push dword .af
    iret
.af:
    pushfd
    pop eax
    TE
T {"iret16 flags ", mm}, m
    push word 0x7ed7
    push cs
    push dword 0
    TE
T {"tf ", mm}, m
    push dword 0x302
    popfd
    nop
    nop
    TE
T {"tf movss ", mm}, m
    mov ax, ss
    push dword 0x302
    popfd
    mov ss, ax
    nop
    nop
    TE
T {"tf int ", mm}, m
    push dword 0x302
    popfd
    int 0x80
    TE
T {"tf iret ", mm}, m
    push dword 0x302
%if m=3
    push dword 0x1b
%else
    push dword 8
%endif
    push dword .af5
    iret
.af5:
    nop
    nop
    TE
T {"sysenter null ", mm}, m
    sysenter
    TE
T {"lldt ring ", mm}, m
    lldt ax
    TE
T {"str ", mm}, m
    str eax
    sldt ebx
    smsw ecx
    and ecx, 0xffff
    xor ecx, ecx
    TE
T {"pop es null ", mm}, m
    push 3
    pop es
    mov al, [es:0]
    TE
T {"pop ss null ", mm}, m
    push 0
    pop ss
    TE
T {"les ", mm}, m
    push dword 0x0b
    push dword 0x12345678
    les eax, [esp]
    mov bx, es
    TE
T {"lss ", mm}, m
    mov ecx, esp
%if m=3
    push dword 0x23
%else
    push dword 0x10
%endif
    push ecx
    lss esp, [esp]
    TE
T {"lds ldt ", mm}, m
    push dword 0x07
    push dword 0x12345678
    lds eax, [esp]
    mov bx, ds
    TE
T {"gs ldt limit ", mm}, m
    mov eax, 0x7f
    mov gs, ax
    TE
T {"es beyond ", mm}, m
    mov eax, 0x7f8
    mov es, ax
    TE
T {"arpl ", mm}, m
    mov ax, 0x10
    mov cx, 3
    arpl ax, cx
    pushfd
    pop ebx
    and ebx, 0x40
    TE
T {"lar far ", mm}, m
    mov eax, 0x7f8
    lar ebx, ax
    pushfd
    pop ecx
    and ecx, 0x40
    TE
T {"dr ", mm}, m
    mov eax, dr0
    TE
T {"exec-only read ", mm}, m
    mov ax, 0x40
    mov ds, ax
    TE
T {"ro write ", mm}, m
    mov ax, 0x48
%if m=3
    mov ax, 0x10b
%endif
    mov es, ax
    mov [es:0x5000], al
    TE
T {"expdown below ", mm}, m
    mov ax, 0x6b
    mov fs, ax
    mov al, [fs:0x100]
    TE
T {"expdown above ", mm}, m
    mov ax, 0x6b
    mov fs, ax
    mov al, [fs:0x60000]
    TE
T {"jmp 16 ", mm}, m
%if m=0
    jmp 0x28:(.sixteen-0x10000)
bits 16
.sixteen:
    mov ax, 0x1234
    int 0x81
bits 32
%endif
    TE
T {"call16 gate ", mm}, m
    call 0x98+m:0
    TE
T {"callg32 2par ", mm}, m
    push dword 0x11112222
    push dword 0x33334444
    call 0x90+m:0
    TE
T {"callg ring1 ", mm}, m
    call 0xf8+m:0
    TE
T {"callg ring1 ret ", mm}, m
    mov edx, .back
    push dword 0xabcdef
    call 0x100+m:0
.back:
    nop
    TE
T {"call tss ", mm}, m
    mov ebx, 0x12341234
    stc
    call 0x78+m:0
    TE
T {"jmp tss ", mm}, m
    jmp 0x78+m:0
    TE
T {"call tss16 ", mm}, m
    call 0x80+m:0
    TE
T {"jmp taskgate ", mm}, m
    jmp 0xa0+m:0
    TE
T {"call taskgate ", mm}, m
    mov dword [tss2+0x28], 0x3333
    call 0xa0+m:0
    TE
%assign k 0
%rep 14
%defstr kk k
T {"task fault ", kk, " ", mm}, m
    mov eax, k
    mov ebp, tss2
%if k=0
    mov word [tss2+0x60], 0x10
%elif k=1
    mov word [tss2+0x4c], 0x10
%elif k=2
    mov word [tss2+0x4c], 0x58
%elif k=3
    mov word [tss2+0x50], 0x08
%elif k=4
    mov word [tss2+0x50], 0x23
%elif k=5
    mov word [tss2+0x54], 0x50
%elif k=6
    mov word [tss2+0x58], 0x88
%elif k=7
    mov word [tss2+0x50], 0
%elif k=8
    mov word [tss2+0x64], 1
%elif k=9
    mov dword [tss2+0x24], 0x20202
    mov dword [tss2+0x20], task2v-0x10000
    mov word [tss2+0x4c], 0x1000
%elif k=10
    mov word [tss2+0x60], 0x0c
%elif k=11
    mov word [tss2+0x4c], 0x1b
    mov word [tss2+0x50], 0x23
%elif k=12
    mov word [tss2+0x54], 0x7f8
%elif k=13
    mov word [tss2+0x4c], 0
%endif
    call 0xa0+m:0
    TE
%assign k k+1
%endrep
T {"task nested ret ", mm}, m
    mov dword [tss2+0x20], task2ret
    mov ecx, 77
    call 0xa0+m:0
    mov ecx, 78
    TE
%assign m 3
%endrep

; Virtual-8086 mode.
%assign v 4
%rep 2
%defstr vv v
bits 16
T {"v86 int81 ",vv}, v
    mov ax, 0x1111
    int 0x81
T {"v86 int80 ",vv}, v
    int 0x80
T {"v86 ud ",vv}, v
    ud2
T {"v86 int3 ",vv}, v
    int3
T {"v86 into ",vv}, v
    mov al, 0x7f
    inc al
    into
T {"v86 cli ",vv}, v
    cli
    ud2
T {"v86 sti ",vv}, v
    sti
    ud2
T {"v86 pushf ",vv}, v
    pushf
    pop ax
    ud2
T {"v86 pushfd ",vv}, v
    pushfd
    pop eax
    ud2
T {"v86 popf ",vv}, v
    push word 0x7ed7
    popf
    pushf
    pop ax
    ud2
T {"v86 popfd ",vv}, v
    push dword 0x277ed7
    popfd
    pushfd
    pop eax
    ud2
T {"v86 iret ",vv}, v
    push word 0x7ed7
    push cs
    push word .x-0x10000
    iret
.x:
    pushf
    pop ax
    ud2
T {"v86 iretd ",vv}, v
    push dword 0x277ed7
    push dword 0x1000
    push dword .y-0x10000
    o32 iret
.y:
    pushf
    pop ax
    ud2
T {"v86 segs ",vv}, v
    mov ax, 0x1000
    mov ds, ax
    mov ax, 0xb800
    mov es, ax
    mov bx, es
    push 0x77
    pop fs
    ud2
T {"v86 ss ",vv}, v
    mov ax, 0x5100
    mov ss, ax
    ud2
T {"v86 retf ",vv}, v
    push cs
    push word .z-0x10000
    retf
.z:
    ud2
T {"v86 jmpf ",vv}, v
    jmp 0x0fff:.w-0x10000+16
.w:
    ud2
T {"v86 callf ",vv}, v
    call 0x0fff:.q-0x10000+16
.q:
    mov bp, sp
    mov ax, [bp]
    mov bx, [bp+2]
    ud2
T {"v86 lar ",vv}, v
    lar ax, bx
    ud2
T {"v86 str ",vv}, v
    str ax
    ud2
T {"v86 arpl ",vv}, v
    arpl ax, bx
    ud2
T {"v86 hlt ",vv}, v
    hlt
T {"v86 mov cr ",vv}, v
    mov eax, cr0
    ud2
T {"v86 limit ",vv}, v
    mov ebx, 0x10000
    mov al, [ds:ebx]
    ud2
T {"v86 ss limit ",vv}, v
    mov sp, 1
    push ax
    ud2
T {"v86 wordlimit ",vv}, v
    mov bx, 0xffff
    mov ax, [bx]
    ud2
T {"v86 tf ",vv}, v
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf
    nop
    nop
    ud2
T {"v86 int gate ",vv}, v
    int 0x50
    ud2
T {"v86 int gate16 ",vv}, v
    int 0x42
    ud2
T {"v86 int conf ",vv}, v
    int 0x47
    ud2
T {"v86 int ring1 ",vv}, v
    int 0x48
    ud2
T {"v86 int task ",vv}, v
    int 0x44
    ud2
T {"v86 sysenter ",vv}, v
    sysenter
    ud2
%assign v 5
%endrep
bits 32
T "iret to v86 eip", 0
    push 0
    push 0
    push 0
    push 0
    push 0x5000
    push 0xfff0
    push 0x20202
    push 0
    push .vm
    iret
.vm:
    ud2
T "iret to v86 from 3", 3
    push 0
    push 0
    push 0
    push 0
    push 0x23
    push STK3
    push 0x20202
    push 0x1b
    push .l
    iret
.l:
    pushfd
    pop eax
    TE
; Stacks of ring 0 that are no good, and what rings 1 and 3 may do.
T "ss0 null", 3
    RESCUE
    mov word [tss+8], 0
    ud2
T "ss0 rpl", 3
    RESCUE
    mov word [tss+8], 0x13
    ud2
T "ss0 np", 3
    RESCUE
    mov word [tss+8], 0x110
    ud2
T "ss0 gate null", 3
    RESCUE
    mov word [tss+8], 0
    call 0x93:0
    ud2
T "ss0 gate np", 3
    RESCUE
    mov word [tss+8], 0x110
    call 0x93:0
T "tss limit", 3
    RESCUE
    mov word [tss+8], 0x7f8
    call 0x93:0
T "ring1 ud", 1
    ud2
T "ring1 int80", 1
    int 0x80
T "ring1 ss", 1
    mov ax, 0xc1
    mov ss, ax
    mov ax, 0x10
    mov ds, ax
    TE
T "ring1 iret3", 1
    mov ax, 0xc1
    mov ds, ax
    push 0x23
    push STK3
    push 0x3202
    push 0x1b
    push .k
    iret
.k:
    pushfd
    pop eax
    TE
T "ring1 cli", 1
    cli
    TE
T "retf imm ring3", 0
    mov ax, 0x10
    mov fs, ax
    push 0x23
    push STK3
    push 1
    push 2
    push 0x1b
    push .k2
    retf 8
.k2:
    TE
T "retf ss mismatch", 0
    push 0xc1
    push STK3
    push 0x1b
    push .k3
    retf
.k3:
    TE
T "retf ss null", 0
    push 0
    push STK3
    push 0x1b
    push .k4
    retf
.k4:
    TE
T "iret outer 16bit ss", 0
    push 0x11b
    push 0x12343000
    push 0x202
    push 0x1b
    push .k5
    iret
.k5:
    mov eax, esp
    TE
T "small limit jmp", 0
    jmp 0xd0:0x200
T "small limit call", 0
    call 0xd0:0x100
T "iret limit", 0
    push 2
    push 0xd0
    push 0x100
    iret
T "gs null write", 0
    xor eax, eax
    mov gs, ax
    mov [gs:0], al
T "cs write", 0
    mov [cs:0x60000], al
T "big limit", 0
    mov ax, 0x118
    mov ds, ax
    mov al, [0x10000]
T "16bit stack push", 0
    mov ax, 0x128
    mov ss, ax
    mov esp, 0x00050802
    push dword 0x1
    TE
T "ldt code", 0
    jmp 0x0f-3:.kk
.kk:
    TE
T "gd", 0
    mov eax, 0x2000
    mov dr7, eax
    mov eax, dr0
    TE
T "tf movss int", 0
    push 0x302
    popfd
    TE
T "rf", 0
    mov eax, .bp
    mov dr0, eax
    mov eax, 1
    mov dr7, eax
    nop
.bp:
    nop
    TE
T "rf iret", 0
    mov eax, .bp2
    mov dr0, eax
    mov eax, 1
    mov dr7, eax
    push 0x10002
    push 8
    push .bp2
    iret
.bp2:
    nop
    TE
T "df", 0
; #GP whose gate is not present -> #NP -> #DF
    mov byte [idt+13*8+5], 0x0e
    mov ax, 0x7f8
    mov es, ax
    TE
T "ss0 null int n", 3
    RESCUE
    mov word [tss+8], 0
    int 0x80
T "ss0 esp small", 3
    RESCUE
    mov word [tss+8], 0x128
    mov dword [tss+4], 8
    int 0x80
T "ss0 16 wrap", 3
    RESCUE
    mov word [tss+8], 0x128
    mov dword [tss+4], 0x12340008
    int 0x80
T "push beyond limit same", 0
    RESCUE
    mov ax, 0x130
    mov ss, ax
    mov esp, 0x5f008
    ud2
T "gate same ss limit", 0
    RESCUE
    mov ax, 0x130
    mov ss, ax
    mov esp, 0x5f008
    call 0x90:0
T "callf ss limit", 0
    RESCUE
    mov ax, 0x130
    mov ss, ax
    mov esp, 0x5f008
    call 8:.clim
.clim:
    TE
T "ts rescue from task", 0
    RESCUE
    mov word [tss2+0x50], 0x7f8
    call 0x78:0
T "restore gp", 0
    mov byte [idt+13*8+5], 0x8e
    TE
T "np in ud", 0
    mov byte [idt+6*8+5], 0x0e
    ud2
T "restore ud", 0
    mov byte [idt+6*8+5], 0x8e
    TE
T "np in int", 0
    mov byte [idt+0x80*8+5], 0x6f
    int 0x80
T "restore 80", 0
    mov byte [idt+0x80*8+5], 0xef
    TE
T "ss0 bad on gp ring3", 3
    RESCUE
    mov word [tss+8], 0x13
    hlt
T "idt limit", 0
    lidt [idtr_small]
    int 0x81
T "restore idt", 0
    lidt [idtr]
    TE
rescue:
    pop eax
    TE
gate_target:
    mov eax, 0xcafe
    TE
gate_ring1:
    mov eax, 0xbeef
    TE
gate_ring1_ret:
    mov eax, 0xbeed
    mov bx, ss
    mov esi, esp
    retf 4
task2:
    mov eax, 0x7777
    pushfd
    pop ebx
    TE
task2ret:
    mov eax, 0x7777
    iret
    mov eax, 0x7778
    iret
task2v:
bits 16
    mov ax, 0x1111
    ud2
bits 32
task16:
bits 16
    mov esp, 0x54000
    movzx ecx, cx
    movzx edx, dx
    movzx ebx, bx
    movzx ebp, bp
    movzx esi, si
    movzx edi, di
    mov eax, 0x1616
    int 0x81
t16gate:
    mov ax, 0x16
    int 0x81
; Virtual interrupts, by IOPL, VIF and VIP.
%macro VME 1
%defstr vv %1
bits 16
T {"vme cli ",vv}, 0x80000000+%1
    cli
    ud2
T {"vme sti ",vv}, 0x80000000+%1
    sti
    ud2
T {"vme pushf ",vv}, 0x80000000+%1
    pushf
    pop ax
    ud2
T {"vme pushfd ",vv}, 0x80000000+%1
    pushfd
    pop eax
    ud2
T {"vme popf ",vv}, 0x80000000+%1
    push word 0x4cd7
    popf
    pushf
    pop ax
    ud2
T {"vme popf if ",vv}, 0x80000000+%1
    push word 0x3202
    popf
    pushf
    pop ax
    ud2
T {"vme popf tf ",vv}, 0x80000000+%1
    push word 0x0102
    popf
    ud2
T {"vme popfd ",vv}, 0x80000000+%1
    push dword 0x277ed7
    popfd
    pushf
    pop ax
    ud2
T {"vme iret ",vv}, 0x80000000+%1
    push word 0x4cd7
    push cs
    push word %%a-0x10000
    iret
%%a:
    pushf
    pop ax
    ud2
T {"vme iret if ",vv}, 0x80000000+%1
    push word 0x3202
    push cs
    push word %%b-0x10000
    iret
%%b:
    ud2
T {"vme iret tf ",vv}, 0x80000000+%1
    push word 0x0102
    push cs
    push word %%c-0x10000
    iret
%%c:
    ud2
T {"vme iretd ",vv}, 0x80000000+%1
    push dword 0x277ed7
    push dword 0x1000
    push dword %%d-0x10000
    o32 iret
%%d:
    ud2
T {"vme int21 ",vv}, 0x80000000+%1
    int 0x21
    ud2
T {"vme int80 ",vv}, 0x80000000+%1
    int 0x80
T {"vme int3 ",vv}, 0x80000000+%1
    int3
T {"vme into ",vv}, 0x80000000+%1
    mov al, 0x7f
    inc al
    into
T {"vme int21 at the stack's end ",vv}, 0x80000000+%1
    mov sp, 3
    int 0x21
bits 32
T {"pvi cli ",vv}, 0xc0000000+%1
    cli
    ud2
T {"pvi sti ",vv}, 0xc0000000+%1
    sti
    ud2
T {"pvi pushf ",vv}, 0xc0000000+%1
    pushfd
    pop eax
    push dword 0x244ed7
    popfd
    ud2
%endmacro
VME 0x00000
VME 0x02000
VME 0x03000
VME 0x80000
VME 0x81000
VME 0x83000
VME 0x100000
VME 0x103000
VME 0x180000
bits 16
; The program's own handler: looks at its frame and returns to the case.
vme_int21:
    pushf
    pop cx
    push bp
    mov bp, sp
    mov dx, [bp+6]
    pop bp
    iret

bits 32
section .tab
    dd 0, 0, 0
section .data align=16 follows=.names
cur:
    dd 0
dr7v:
    dd 0
gdtr:
    dw 0x137
    dd gdt
idtr:
    dw 0x90*8-1
    dd idt
idtr_small:
    dw 0x80*8-1
    dd idt
%macro D 4 ; base limit access flags
    dw (%2)&0xffff, (%1)&0xffff
    db ((%1)>>16)&0xff, %3, (((%2)>>16)&15)|((%4)<<4), ((%1)>>24)&0xff
%endmacro
    align 16
gdt:
    dq 0                          ; 00
    D 0, 0xfffff, 0x9a, 0xc          ; 08
    D 0, 0xfffff, 0x92, 0xc          ; 10
    D 0, 0xfffff, 0xfa, 0xc          ; 18
    D 0, 0xfffff, 0xf2, 0xc          ; 20
    D 0x10000, 0xffff, 0x9a, 0       ; 28 code16
    D 0x10000, 0xffff, 0x92, 0       ; 30
    D 0, 0xfffff, 0x9e, 0xc          ; 38 conforming
    D 0, 0xfffff, 0x98, 0xc          ; 40 exec only
    D 0, 0xfffff, 0x90, 0xc          ; 48 ro
    D 0, 0xfffff, 0x12, 0xc          ; 50 np data
    D 0, 0xfffff, 0x1a, 0xc          ; 58 np code
    D 0, 0xfffff, 0x72, 0xc          ; 60 np data3
    D 0, 0x5f, 0xf6, 0xc             ; 68 expand-down dpl3
    D 0x58000, 0x67, 0x89, 0         ; 70 tss
    D 0x58100, 0x67, 0xe9, 0         ; 78 tss2
    D 0x58200, 0x2b, 0xe1, 0         ; 80 tss16
    D 0x58300, 0x0f, 0x82, 0         ; 88 ldt
    dq 0                          ; 90 callgate32 2 params dpl3
    dq 0                          ; 98 callgate16
    D 0, 0, 0, 0                     ; a0 taskgate
    dq 0                          ; a8 callgate np
    dq 0                          ; b0 callgate dpl0
    D 0, 0xfffff, 0xba, 0xc          ; b8 code1
    D 0, 0xfffff, 0xb2, 0xc          ; c0 data1
    D 0, 0xfffff, 0xfe, 0xc          ; c8 conforming dpl3
    D 0x11000, 0xff, 0x9a, 4         ; d0 small
    D 0x58000, 0x66, 0x89, 0         ; d8 short tss
    dq 0                          ; e0 callgate null sel
    dq 0                          ; e8 callgate data
    dq 0                          ; f0 intgate in gdt
    dq 0                          ; f8 callgate ring1
    dq 0                          ; 100 callgate ring1 ret
    D 0, 0xfffff, 0xf0, 0xc          ; 108 ro dpl3
    D 0, 0xfffff, 0x12, 0xc          ; 110 np data
    D 0, 0xffff, 0xf2, 0             ; 118 16-bit data dpl3
    D 0x58190, 0x67, 0x89, 0        ; 120 rescue tss
    D 0x50000, 0xffff, 0x92, 0          ; 128 16-bit data dpl0
    D 0, 0x5efff, 0x92, 4          ; 130 32-bit
gdt_end:

gates:
    ; gdt offset, selector, offset, type<<8|params
    dd gdt+0x90, 8, gate_target, 0xec02
    dd gdt+0x98, 0x28, t16gate-0x10000, 0xe400
    dd gdt+0xa0, 0x78, 0, 0xe500
    dd gdt+0xa8, 8, gate_target, 0x6c00
    dd gdt+0xb0, 8, gate_target, 0x8c00
    dd gdt+0xe0, 0, gate_target, 0xec00
    dd gdt+0xe8, 0x10, gate_target, 0xec00
    dd gdt+0xf0, 8, gate_target, 0xee00
    dd gdt+0xf8, 0xb8, gate_ring1, 0xec00
    dd gdt+0x100, 0xb8, gate_ring1_ret, 0xec01
; idt 40..57
    dd idt+0x40*8, 8, gate_target, 0xee00
    dd idt+0x41*8, 8, gate_target, 0xef00
    dd idt+0x42*8, 0x28, t16gate-0x10000, 0xe600
    dd idt+0x43*8, 0x28, t16gate-0x10000, 0xe700
    dd idt+0x44*8, 0x78, 0, 0xe500
    dd idt+0x45*8, 8, gate_target, 0x8e00
    dd idt+0x46*8, 8, gate_target, 0x6e00
    dd idt+0x47*8, 0x38, gate_target, 0xee00
    dd idt+0x48*8, 0xb8, gate_ring1, 0xee00
    dd idt+0x49*8, 0, gate_target, 0xee00
    dd idt+0x4a*8, 0x10, gate_target, 0xee00
    dd idt+0x4b*8, 0x58, gate_target, 0xee00
    dd idt+0x4c*8, 0x7f8, gate_target, 0xee00
    dd idt+0x4d*8, 0x18, gate_target, 0xee00
    dd idt+0x4e*8, 0xd0, 0x200, 0xee00
    dd idt+0x4f*8, 8, gate_target, 0xec00
    dd idt+0x50*8, 8, gate_target, 0xee00
    dd idt+0x51*8, 0x80, 0, 0xe500
    dd idt+0x52*8, 0x10, 0, 0xe500
    dd idt+0x53*8, 0x70, 0, 0xe500
    dd idt+0x54*8, 0x7c, 0, 0xe500
    dd idt+0x55*8, 0xc8, gate_target, 0xee00
    dd idt+0x56*8, 0x28, t16gate-0x10000, 0xee00
    dd idt+0x57*8, 0xd8, 0, 0xe500
gates_end:
tss_image:
    dd 0, STK0-0x800, 0x10, STK1, 0xc1, 0, 0
    dd 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x680000
    times 0x100-($-tss_image) db 0
    dd 0, STK0-0x800, 0x10, STK1, 0xc1, 0, 0
    dd 0, task2, 2, 0xa1, 0xa2, 0xa3, 0xa4, STKA, 0xa5, 0xa6, 0xa7, 0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 0x680000
    times 0x190-($-tss_image) db 0
    dd 0, 0, 0, 0, 0, 0, 0
    dd 0, rescue, 2, 0xd1, 0xd2, 0xd3, 0xd4, STKA+0x800, 0xd5, 0xd6, 0xd7, 0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 0x680000
    times 0x200-($-tss_image) db 0
    dw 0, 0x4000, 0x10, 0, 0, 0, 0
    dw task16-0x10000, 2, 0xb1, 0xb2, 0xb3, 0xb4, 0x4000, 0xb5, 0xb6, 0xb7, 0x10, 0x28, 0x128, 0x10, 0x88
    times 0x300-($-tss_image) db 0
    dq 0
    D 0, 0xfffff, 0xfa, 0xc
    times 0x400-($-tss_image) db 0
tss equ 0x58000
tss2 equ 0x58100
tss_end equ 0x58400
gdtcopy equ 0x59000
tsscopy equ 0x5a000
idt equ 0x5b000
idtcopy equ 0x5c000
