extension CommandTree {
    var completionHelp: String {
        """
        Usage:  \(program) completion bash|zsh|fish

        Print a script that completes the commands and flags of \(program) in a shell

        Examples:
          source <(\(program) completion bash)
          \(program) completion zsh > "${fpath[1]}/_\(program)"
          \(program) completion fish > ~/.config/fish/completions/\(program).fish

        """
    }

    /// The script by which a shell completes the program's commands.
    public func completionScript(for shell: Shell) -> String {
        let name = String(program.map { $0 == "-" ? "_" : $0 })
        return switch shell {
        case .bash: bashScript(name)
        case .zsh: zshScript(name)
        case .fish: fishScript(name)
        }
    }

    // Bash splits words at `=` and `:` (COMP_WORDBREAKS), so the line is put together again as
    // far as those go, and what Bash believes to stand before the word is cut from the answers.
    private func bashScript(_ name: String) -> String {
        #"""
        # bash completion for \#(program)

        _\#(name)_complete() {
            local words=() word glued="" index line paths="" prefix
            COMPREPLY=()
            for ((index = 1; index <= COMP_CWORD; index++)); do
                word=${COMP_WORDS[index]}
                if [[ ${#words[@]} -gt 0 && ( $word == [=:]* || $glued ) ]]; then
                    words[-1]+=$word
                else
                    words+=("$word")
                fi
                glued=""
                [[ $word == [=:] ]] && glued=1
            done
            prefix=${words[-1]%"${COMP_WORDS[COMP_CWORD]}"}
            [[ ${COMP_WORDS[COMP_CWORD]} == [=:] ]] && prefix=${words[-1]}
            while IFS= read -r line; do
                case $line in
                :files) paths=f ;;
                :directories) paths=d ;;
                :nothing) ;;
                *) line=${line%%$'\t'*}; COMPREPLY+=("${line#"$prefix"}") ;;
                esac
            done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
            if [[ $paths ]]; then
                word=${COMP_WORDS[COMP_CWORD]}
                [[ $word == [=:] ]] && word=""
                compopt -o filenames 2>/dev/null
                while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -"$paths" -- "$word")
            fi
            [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
            return 0
        }

        complete -F _\#(name)_complete \#(program)

        """#
    }

    private func zshScript(_ name: String) -> String {
        #"""
        #compdef \#(program)
        # zsh completion for \#(program)

        _\#(name)() {
            local -a candidates
            local line paths="" word summary
            while IFS= read -r line; do
                case $line in
                    :files) paths=files ;;
                    :directories) paths=directories ;;
                    :nothing) ;;
                    *)
                        word=${line%%$'\t'*}
                        summary=${line#*$'\t'}
                        candidates+=("${word//:/\\:}:$summary")
                        ;;
                esac
            done < <(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
            (( ${#candidates} )) && _describe -V '\#(program)' candidates
            case $paths in
                files) compset -P '*='; _files ;;
                directories) compset -P '*='; _files -/ ;;
            esac
        }

        if [[ $funcstack[1] == _\#(name) ]]; then
            _\#(name) "$@"
        else
            compdef _\#(name) \#(program)
        fi

        """#
    }

    private func fishScript(_ name: String) -> String {
        #"""
        # fish completion for \#(program)

        function __\#(name)_complete
            set -l words (commandline -opc) (commandline -ct)
            set -l typed $words[-1]
            for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
                switch $line
                    case ':files'
                        __fish_complete_path (string replace -r '^--[^=]*=' '' -- $typed)
                    case ':directories'
                        __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $typed)
                    case ':nothing'
                    case '*'
                        echo $line
                end
            end
        end

        complete -c \#(program) -f -a '(__\#(name)_complete)'

        """#
    }
}
