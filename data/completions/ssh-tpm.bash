# SPDX-License-Identifier: MIT
# bash completion for ssh-tpm and its applets. It needs nothing of bash-completion, which loads it by name.
# shellcheck shell=bash

# __ssh_tpm_words WORD…: those that begin with what is being typed.
__ssh_tpm_words() {
    local word
    for word; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
    done
    return 0
}

# __ssh_tpm_paths [PATTERN…]: folders, and the files that match one of the patterns; without one, all files.
__ssh_tpm_paths() {
    local path pattern patterns=("${@:-*}")
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do
        if [[ -d ${path/#\~\//"$HOME/"} ]]; then
            COMPREPLY+=("$path")
            continue
        fi
        for pattern in "${patterns[@]}"; do
            # shellcheck disable=SC2053 # a pattern is wanted
            [[ ${path##*/} == $pattern ]] && COMPREPLY+=("$path") && break
        done
    done < <(compgen -f -- "$cur")
    return 0
}

# __ssh_tpm_folders: folders alone.
__ssh_tpm_folders() {
    local path
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do
        COMPREPLY+=("$path")
    done < <(compgen -d -- "$cur")
    return 0
}

# The sizes of the key type that stands anywhere on the line.
__ssh_tpm_bits() {
    local index type=ecdsa
    for ((index = 1; index < ${#COMP_WORDS[@]}; index++)); do
        case ${COMP_WORDS[index]} in
        -t) type=${COMP_WORDS[index + 1]-} ;;
        -t?*) type=${COMP_WORDS[index]#-t} ;;
        esac
    done
    case $type in
    rsa) __ssh_tpm_words 2048 3072 4096 ;;
    *) __ssh_tpm_words 256 384 521 ;;
    esac
}

# What an option of any applet may be given.
__ssh_tpm_tpm_value() {
    case $1 in
    --tcti) __ssh_tpm_words device:/dev/tpmrm0 swtpm: mssim: tabrmd: ;;
    --hierarchy) __ssh_tpm_words endorsement owner platform null ;;
    --owner-password-file) __ssh_tpm_paths ;;
    *) return 1 ;;
    esac
}

__ssh_tpm_keygen_value() {
    case $1 in
    -t) __ssh_tpm_words ecdsa rsa ;;
    -b) __ssh_tpm_bits ;;
    -E) __ssh_tpm_words sha256 md5 ;;
    -f) __ssh_tpm_paths '*.tpm' '*.pub' ;;
    --print-pubkey) __ssh_tpm_paths '*.tpm' ;;
    -I | --import | --wrap | --wrap-with | --pin-file | --old-pin-file) __ssh_tpm_paths ;;
    --parent-handle) __ssh_tpm_words owner endorsement platform null 0x81000001 ;;
    -C | -N | -P) ;;
    *) __ssh_tpm_tpm_value "$1" ;;
    esac
}

__ssh_tpm_agent_value() {
    case $1 in
    -a | -l | -A) __ssh_tpm_paths ;;
    --key-dir) __ssh_tpm_folders ;;
    -t | --pin-lifetime) __ssh_tpm_words 10m 1h 8h 1d ;;
    -E) __ssh_tpm_words sha256 ;;
    *) __ssh_tpm_tpm_value "$1" ;;
    esac
}

__ssh_tpm_add_value() {
    case $1 in
    -t) __ssh_tpm_words 10m 1h 8h 1d ;;
    -E) __ssh_tpm_words sha256 md5 ;;
    -H | --pin-file) __ssh_tpm_paths ;;
    -h) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur") ;;
    *) return 1 ;;
    esac
}

__ssh_tpm_hostkeys_value() {
    case $1 in
    --socket) __ssh_tpm_paths ;;
    *) __ssh_tpm_tpm_value "$1" ;;
    esac
}

__ssh_tpm_doctor_value() {
    [[ $1 == --tcti ]] && __ssh_tpm_tpm_value "$1"
}

__ssh_tpm_attest_request_value() {
    case $1 in
    -f) __ssh_tpm_paths '*.tpm' ;;
    --pin-file) __ssh_tpm_paths ;;
    --host | --nonce) ;;
    *) __ssh_tpm_tpm_value "$1" ;;
    esac
}

__ssh_tpm_attest_install_value() {
    case $1 in
    --ca) __ssh_tpm_paths '*.pub' ;;
    *) __ssh_tpm_doctor_value "$1" ;;
    esac
}

__ssh_tpm_attest_verify_value() {
    case $1 in
    --ek-roots) __ssh_tpm_folders ;;
    --ek-known) __ssh_tpm_paths ;;
    --max-age) __ssh_tpm_words 10m 1h 24h 7d ;;
    --nonce) ;;
    *) return 1 ;;
    esac
}

__ssh_tpm_attest_sign_value() {
    case $1 in
    -s) __ssh_tpm_paths ;;
    -V) __ssh_tpm_words -5m:+1d -5m:+30d -5m:+52w ;;
    -O) __ssh_tpm_words clear no-agent-forwarding no-port-forwarding no-pty no-user-rc no-x11-forwarding ;;
    -n | -I | -z) ;;
    *) __ssh_tpm_attest_seal_value "$1" ;;
    esac
}

__ssh_tpm_attest_seal_value() {
    case $1 in
    --receipts) __ssh_tpm_paths ;;
    *) __ssh_tpm_attest_verify_value "$1" ;;
    esac
}

__ssh_tpm_attest_check_value() {
    case $1 in
    --pcrs) __ssh_tpm_words sha256:0-9,11,12 sha384:0-9,11,12 ;;
    --enrolled) __ssh_tpm_paths ;;
    *) return 1 ;;
    esac
}

__ssh_tpm_attest_ssh_value() {
    __ssh_tpm_attest_check_value "$1"
}

__ssh_tpm_attest_serve_value() {
    case $1 in
    --key-dir) __ssh_tpm_folders ;;
    --event-log | --socket) __ssh_tpm_paths ;;
    *) __ssh_tpm_tpm_value "$1" ;;
    esac
}

__ssh_tpm_keygen_options=(
    -t -b -C -f -N -P --pin-file --old-pin-file -q -v -E --parent-handle -p -c -l -y --print-pubkey -A
    --hierarchy -I --import --wrap --wrap-with --supported --tcti --swtpm -o --owner-password
    --owner-password-file -h --help -V --version
)
__ssh_tpm_agent_options=(
    -a -l -A --key-dir --no-load --hierarchy -t --confirm --confirm-loaded --pin-lifetime --no-cache --no-seal
    --no-sandbox -D -d -s -c -k -U -E --print-socket --install-user-units --install-system --force --tcti --swtpm
    -o --owner-password --owner-password-file -h --help -V --version
)
__ssh_tpm_add_options=(
    -t -c -h -H --pin --pin-file -k -C -N -E -q -d -D -l -L -Q -T -x -X -v --help -V --version
)
__ssh_tpm_hostkeys_options=(
    --socket --hierarchy --check --json --install-system-units --install-sshd-config --uninstall --force --renew --yes
    --tcti --swtpm -o --owner-password --owner-password-file -h --help -V --version
)
__ssh_tpm_doctor_options=(--json --tcti --swtpm -h --help -V --version)
__ssh_tpm_attest_commands=(request install verify sign check ssh serve seal)
__ssh_tpm_attest_request_options=(
    -f -A --hierarchy --host --nonce --pin-file --tcti --swtpm -o --owner-password --owner-password-file
    -h --help -V --version
)
__ssh_tpm_attest_install_options=(--ca --force --tcti --swtpm -h --help -V --version)
__ssh_tpm_attest_verify_options=(
    --ek-roots --ek-known --nonce --max-age --allow-no-eku --json -h --help -V --version
)
__ssh_tpm_attest_sign_options=(
    -s -U -h -n -I -V -z -O --receipts --ek-roots --ek-known --nonce --max-age --allow-no-eku --help --version
)
__ssh_tpm_attest_seal_options=(
    --ek-roots --ek-known --nonce --max-age --allow-no-eku --receipts -h --help -V --version
)
__ssh_tpm_attest_check_options=(--pcrs --enrolled --accept --yes -h --help -V --version)
__ssh_tpm_attest_ssh_options=("${__ssh_tpm_attest_check_options[@]}")
__ssh_tpm_attest_serve_options=(--key-dir --hierarchy --event-log --socket --tcti --swtpm -h --help -V --version)

# What stands where no option does: __ssh_tpm_operand APPLET FIRST, FIRST being the index of its first word.
__ssh_tpm_operand() {
    local index
    case $1 in
    attest_install | attest_verify | attest_sign | attest_seal) __ssh_tpm_paths ;;
    attest_check | attest_ssh) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur") ;;
    add)
        for ((index = $2; index < COMP_CWORD; index++)); do
            case ${COMP_WORDS[index]} in
            -*d* | -*T*) [[ ${COMP_WORDS[index]} != --* ]] && __ssh_tpm_paths '*.tpm' '*.pub' && return ;;
            esac
        done
        __ssh_tpm_paths '*.tpm'
        ;;
    agent)
        # The first operand is a command, and the rest is its own.
        for ((index = $2; index < COMP_CWORD; index++)); do
            [[ ${COMP_WORDS[index]} == -* ]] && continue
            __ssh_tpm_takes_value agent "${COMP_WORDS[index - 1]}" && continue
            declare -F _command_offset >/dev/null && _command_offset "$index"
            return
        done
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        ;;
    esac
}

# __ssh_tpm_takes_value APPLET OPTION: whether the next word is the option's. APPLET may be attest_sign.
__ssh_tpm_takes_value() {
    local cur='' COMPREPLY=()
    [[ $2 == -* ]] && "__ssh_tpm_$1_value" "$2" 2>/dev/null
}

# __ssh_tpm_attest FIRST: the command of attest, or what stands behind it.
__ssh_tpm_attest() {
    local command=${COMP_WORDS[$1]}
    if ((COMP_CWORD > $1)); then
        [[ " ${__ssh_tpm_attest_commands[*]} " == *" $command "* ]] && __ssh_tpm_applet "attest_$command" $(($1 + 1))
    elif [[ $command == -* ]]; then
        __ssh_tpm_words --help --version
    else
        __ssh_tpm_words "${__ssh_tpm_attest_commands[@]}"
    fi
}

__ssh_tpm_applet() {
    local applet=$1 first=$2 cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options
    if [[ $applet == attest ]]; then
        __ssh_tpm_attest "$first"
        return
    fi
    # bash breaks "--option=value" into three words.
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $before == -[!-]?* ]]; then
        options="__ssh_tpm_${applet}_options[*]"
        case " ${!options} " in
        *" -$before "*) before=-$before ;; # -key-dir is --key-dir
        *) before=-${before: -1} ;;        # -lvf is -l -v -f
        esac
    fi
    if [[ $before == -* ]] && ((COMP_CWORD > first)) && "__ssh_tpm_${applet}_value" "$before"; then
        return
    fi
    if [[ $cur == -* ]]; then
        options="__ssh_tpm_${applet}_options[@]"
        __ssh_tpm_words "${!options}"
        if [[ $cur == -[!-]* ]]; then # -key-dir is --key-dir
            for options in "${!options}"; do
                [[ $options == -"$cur"* ]] && COMPREPLY+=("${options#-}")
            done
        fi
    elif [[ $cur == : || $before == : ]]; then
        : # bash breaks "device:/dev/tpmrm0" too
    else
        __ssh_tpm_operand "$applet" "$first"
    fi
}

_ssh_tpm() {
    local name=${1##*/} cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case $name in
    ssh-tpm-keygen | ssh-tpm-agent | ssh-tpm-add | ssh-tpm-hostkeys | ssh-tpm-attest | ssh-tpm-doctor)
        __ssh_tpm_applet "${name#ssh-tpm-}" 1
        return
        ;;
    esac
    if ((COMP_CWORD == 1)); then
        if [[ $cur == -* ]]; then
            __ssh_tpm_words --help --version
        else
            __ssh_tpm_words keygen agent add hostkeys attest doctor help
        fi
        return
    fi
    case ${COMP_WORDS[1]} in
    keygen | agent | add | hostkeys | attest | doctor) __ssh_tpm_applet "${COMP_WORDS[1]}" 2 ;;
    esac
}

complete -F _ssh_tpm ssh-tpm ssh-tpm-keygen ssh-tpm-agent ssh-tpm-add ssh-tpm-hostkeys ssh-tpm-attest ssh-tpm-doctor
