# What the proofs share: a copy of the sources, and bugs from a table that are planted into it. To be sourced.

# copy_sources FOLDER: every file of the working tree that git does not ignore.
copy_sources() {
  mkdir -p "$1"
  git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | xargs -0 cp --parents -t "$1"
}

# table: the rows "a | b | c" of standard input as "a|b|c", for IFS='|' read. Spaces beside any bar go: a pattern that
# holds bars writes dots for them.
table() { sed 's/ *| */|/g'; }

# plant BUG FILE EDIT: what sed makes of FILE; a bug that no longer fits ends the script.
plant() {
  local before
  before=$(md5sum <"$2")
  sed -i "$3" "$2"
  [ "$before" != "$(md5sum <"$2")" ] || { echo "$1: no longer fits $2" >&2; exit 1; }
}
