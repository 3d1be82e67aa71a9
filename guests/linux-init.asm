; The user space of a Linux guest, in one static program without a library.
;
; It mounts sysfs and proc, prints "init: ready", and obeys lines from the console, character by character:
;
;     0-9   the CPU that o, f and p mean         c   prints which CPUs are online
;     o f   puts that CPU online, offline        i   prints /proc/interrupts
;     p     moves to that CPU and works there    q   turns the machine off
;     r     resets the machine                   k   ends, which makes the kernel panic
;
; Every command prints a line: its name, CPU and result; 0 is success, others are -errno.
bits 64
org 0x400000

SYS_READ equ 0
SYS_WRITE equ 1
SYS_OPEN equ 2
SYS_CLOSE equ 3
SYS_MKDIR equ 83
SYS_MOUNT equ 165
SYS_EXIT equ 60
SYS_REBOOT equ 169
SYS_SCHED_SETAFFINITY equ 203
SYS_GETCPU equ 309

O_RDONLY equ 0
O_WRONLY equ 1
REBOOT_MAGIC1 equ 0xfee1dead
REBOOT_MAGIC2 equ 0x28121969
REBOOT_POWER_OFF equ 0x4321fedc
REBOOT_RESTART equ 0x01234567

WORK equ 10000000

; ELF header and one program header: everything is loaded at the base, with room for buffers behind.
elf:
  db 0x7f, "ELF", 2, 1, 1, 0
  times 8 db 0
  dw 2, 62
  dd 1
  dq start, program - $$, 0
  dd 0
  dw 64, 56, 1, 0, 0, 0
program:
  dd 1, 7
  dq 0, $$, $$
  dq file_end - $$, memory_end - $$
  dq 0x1000

start:
  lea rdi, [sys]
  call make_folder
  lea rdi, [proc]
  call make_folder
  lea rdi, [sysfs]
  lea rsi, [sys]
  call mount
  lea rdi, [proc_name]
  lea rsi, [proc]
  call mount
  lea rsi, [ready]
  call print

next_line:
  xor edi, edi
  lea rsi, [line]
  mov edx, 256
  mov eax, SYS_READ
  syscall
  test rax, rax
  jle power_off                    ; nobody can tell it anything any more
  lea r12, [line]
  lea r13, [line + rax]
.next:
  cmp r12, r13
  jae next_line
  movzx eax, byte [r12]
  inc r12
  call command
  jmp .next

command:
  cmp al, '0'
  jb .other
  cmp al, '9'
  ja .other
  mov [chosen], al
  mov [online_cpu], al
  ret
.other:
  cmp al, 'o'
  je .online
  cmp al, 'f'
  je .offline
  cmp al, 'p'
  je .pin
  cmp al, 'c'
  je .count
  cmp al, 'i'
  je .interrupts
  cmp al, 'q'
  je power_off
  cmp al, 'r'
  je restart
  cmp al, 'k'
  jne .end
  mov edi, 3
  mov eax, SYS_EXIT
  syscall
.end:
  ret
.online:
  mov byte [digit], '1'
  lea rbx, [said_online]
  jmp .switch
.offline:
  mov byte [digit], '0'
  lea rbx, [said_offline]
.switch:
  lea rdi, [online_file]
  mov esi, O_WRONLY
  mov eax, SYS_OPEN
  syscall
  test rax, rax
  js .report
  mov ebp, eax
  mov edi, eax
  lea rsi, [digit]
  mov edx, 1
  mov eax, SYS_WRITE
  syscall
  mov r14, rax
  mov edi, ebp
  mov eax, SYS_CLOSE
  syscall
  mov rax, r14
  cmp rax, 1
  jne .report
  xor eax, eax
.report:
  mov r14, rax
  mov rsi, rbx
  call print
  lea rsi, [chosen]
  mov edx, 1
  call write
  lea rsi, [result]
  call print
  mov rax, r14
  call print_number
  lea rsi, [newline]
  jmp print
.pin:
  mov cl, [chosen]
  sub cl, '0'
  mov eax, 1
  shl rax, cl
  mov [mask], rax
  xor edi, edi
  mov esi, 8
  lea rdx, [mask]
  mov eax, SYS_SCHED_SETAFFINITY
  syscall
  lea rbx, [said_pin]
  test rax, rax
  js .report
  mov ecx, WORK
.work:
  loop .work
  lea rdi, [present]
  xor esi, esi
  xor edx, edx
  mov eax, SYS_GETCPU
  syscall
  mov eax, [present]
  add al, '0'
  sub al, [chosen]                    ; 0: it runs where it shall
  movsx rax, al
  jmp .report
.count:
  lea rsi, [said_cpus]
  call print
  lea rdi, [online_list]
  jmp print_file
.interrupts:
  lea rdi, [interrupts]
  jmp print_file

restart:
  mov ebx, REBOOT_RESTART
  lea rsi, [said_restart]
  jmp leave_machine
power_off:
  mov ebx, REBOOT_POWER_OFF
  lea rsi, [said_off]
leave_machine:
  call print
  mov edi, REBOOT_MAGIC1
  mov esi, REBOOT_MAGIC2
  mov edx, ebx
  xor r10d, r10d
  mov eax, SYS_REBOOT
  syscall
  jmp power_off

; Makes the folder RDI.
make_folder:
  mov esi, 0o755
  mov eax, SYS_MKDIR
  syscall
  ret

; Mounts file system RDI at folder RSI.
mount:
  mov rdx, rdi
  xor r10d, r10d
  xor r8d, r8d
  mov eax, SYS_MOUNT
  syscall
  ret

; Prints file RDI.
print_file:
  mov esi, O_RDONLY
  mov eax, SYS_OPEN
  syscall
  test rax, rax
  js .end
  mov ebp, eax
.more:
  mov edi, ebp
  lea rsi, [buffer]
  mov edx, 4096
  mov eax, SYS_READ
  syscall
  test rax, rax
  jle .close
  lea rsi, [buffer]
  mov rdx, rax
  call write
  jmp .more
.close:
  mov edi, ebp
  mov eax, SYS_CLOSE
  syscall
.end:
  ret

; Prints the number RAX, signed.
print_number:
  test rax, rax
  jns .positive
  neg rax
  push rax
  lea rsi, [minus]
  mov edx, 1
  call write
  pop rax
.positive:
  lea rsi, [number_end]
  mov ecx, 10
.digit:
  xor edx, edx
  div rcx
  add dl, '0'
  dec rsi
  mov [rsi], dl
  test rax, rax
  jnz .digit
  lea rdx, [number_end]
  sub rdx, rsi
  jmp write

; Prints the text RSI up to its zero.
print:
  xor edx, edx
.length:
  cmp byte [rsi + rdx], 0
  je write
  inc rdx
  jmp .length

; Writes RDX bytes at RSI to the console.
write:
  mov edi, 1
  mov eax, SYS_WRITE
  syscall
  ret

sys: db "/sys", 0
proc: db "/proc", 0
sysfs: db "sysfs", 0
proc_name: db "proc", 0
online_list: db "/sys/devices/system/cpu/online", 0
interrupts: db "/proc/interrupts", 0
online_file: db "/sys/devices/system/cpu/cpu"
online_cpu: db "1/online", 0
ready: db "init: ready", 10, 0
said_online: db "init: online ", 0
said_offline: db "init: offline ", 0
said_pin: db "init: pin ", 0
said_cpus: db "init: cpus ", 0
said_off: db "init: power off", 10, 0
said_restart: db "init: restart", 10, 0
result: db " -> ", 0
minus: db "-"
newline: db 10, 0
chosen: db "1"
digit: db "1"

file_end:

absolute file_end
alignb 8
mask: resq 1
present: resd 1
  resb 24
number_end:
line: resb 256
buffer: resb 4096
memory_end:
