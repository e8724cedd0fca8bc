# run-as UID:GID[:GROUP…] PROGRAM [ARGUMENT…]
#
# Becomes that user and executes the program, by its path and with the environment as it is. The group is one of the
# supplementary groups, too, as container runtimes have it. Busybox has no program that takes numbers which /etc/passwd
# does not know. Ends with 126 where the user cannot be set or the program not be executed, 127 where it is not there.
#
# System calls of Linux by syscall(2): the number in rax, arguments in rdi, rsi, rdx; rcx and r11 are lost. At the start
# the stack has argc, argv and a null, the environment and a null (System V ABI, 3.4.1).
.intel_syntax noprefix
.globl _start
.set GROUPS, 1024

_start:
    mov r12, [rsp]                  # argc
    lea r13, [rsp + 24]             # argv + 2: of the program
    lea r14, [rsp + r12*8 + 16]     # environment
    cmp r12, 3
    jl cannot_switch
    mov rsi, [rsp + 16]             # argv[1]
    sub rsp, GROUPS * 4 + 16
    xor ebx, ebx                    # numbers so far: the user, then groups
number:
    xor eax, eax
    mov rdi, rsi
digit:
    movzx ecx, byte ptr [rsi]
    sub ecx, '0'
    cmp ecx, 9
    ja end_of_number
    imul rax, rax, 10
    add rax, rcx
    mov rdx, rax
    shr rdx, 32                     # no user has a number of more than 32 bits
    jnz cannot_switch
    inc rsi
    jmp digit
end_of_number:
    cmp rsi, rdi
    je cannot_switch
    cmp ebx, GROUPS
    ja cannot_switch
    mov [rsp + rbx*4], eax
    inc ebx
    movzx ecx, byte ptr [rsi]
    inc rsi
    cmp ecx, ':'
    je number
    test ecx, ecx
    jnz cannot_switch
    cmp ebx, 2
    jl cannot_switch

    mov eax, 116                    # setgroups(count, list)
    lea edi, [rbx - 1]
    lea rsi, [rsp + 4]
    syscall
    test rax, rax
    jnz cannot_switch
    mov eax, 106                    # setgid
    mov edi, [rsp + 4]
    syscall
    test rax, rax
    jnz cannot_switch
    mov eax, 105                    # setuid
    mov edi, [rsp]
    syscall
    test rax, rax
    jnz cannot_switch

    mov eax, 59                     # execve
    mov rdi, [r13]
    mov rsi, r13
    mov rdx, r14
    syscall
    mov r12d, 127
    cmp rax, -2                     # ENOENT
    je failed
    jmp not_executed

cannot_switch:
    lea rsi, [rip + switch_text]
    mov edx, offset switch_end - switch_text
    mov r12d, 126
    jmp say
not_executed:
    mov r12d, 126
failed:
    lea rsi, [rip + execute_text]
    mov edx, offset execute_end - execute_text
say:
    mov eax, 1                      # write
    mov edi, 2
    syscall
    mov eax, 60                     # exit
    mov edi, r12d
    syscall

switch_text:
    .ascii "monocore: the user of the command cannot be set\n"
switch_end:
execute_text:
    .ascii "monocore: the command cannot be executed by its user\n"
execute_end:
