#!/usr/bin/env bash
# The manual pages and completions that a build makes: documents_test.sh SHARE
# A page for each command and program, of which the linter has nothing to say; completions that their shells take.
set -uo pipefail
share=$1
failed=0
complain() { echo "documents: $*" >&2; failed=1; }

command -v mandoc >/dev/null || { echo "mandoc is not installed; tools/setup test does it"; exit 77; }

commands=$(sed -n "s/.*-f -n 'not __fish_seen_subcommand_from .*' -a \([a-z]*\) .*/\1/p" \
  "$share/fish/vendor_completions.d/epulse.fish")
(( $(wc -w <<<"$commands") >= 12 )) || complain "the completion for fish names few commands: $commands"
for page in epulse epulsed epulse-ws epulse-load $(printf 'epulse-%s ' $commands); do
  [[ -s $share/man/man1/$page.1 ]] || complain "there is no page $page(1)"
done
[[ -s $share/man/man5/epulse.data.5 ]] || complain "there is no page epulse.data(5)"

for page in "$share"/man/man*/*; do
  # It looks for pages where they are installed; ours are here.
  said=$(mandoc -T lint "$page" | grep -v 'referenced manual not found')
  [[ -z $said ]] || complain "$said"
  while read -r name section; do
    [[ -s $share/man/man$section/$name.$section ]] || complain "$page refers to $name($section), which is not there"
  done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page")
done

bash -n "$share/bash-completion/completions/epulse" || complain "bash does not take its completion"
for shell in zsh fish; do
  command -v "$shell" >/dev/null || continue
  "$shell" -n "$(find "$share/$shell" -type f)" || complain "$shell does not take its completion"
done
exit "$failed"
