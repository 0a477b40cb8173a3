#!/usr/bin/env bash
# Builds the examples as a stranger would, against the installed library, and talks to them:
# library_test.sh BUILD_DIR SOURCE_DIR CXX EPULSE_LOAD
set -euo pipefail
build=$1 source=$2 cxx=$3 load=$4
work=$(mktemp -d)
server=
finish() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

cmake --install "$build" --component library --prefix "$work" >/dev/null
pc=$(find "$work" -name epulse-ws.pc)
export PKG_CONFIG_PATH=${pc%/*}
for example in echo chat; do
  lines=$(wc -l <"$source/server/library/examples/$example.cpp")
  (( lines < 60 )) || { echo "example $example has $lines lines; they are to have less than 60" >&2; exit 1; }
  # shellcheck disable=SC2046
  "$cxx" -std=c++20 -O0 "$source/server/library/examples/$example.cpp" -o "$work/$example" \
    $(pkg-config --cflags --libs epulse-ws)
done

start() {  # start EXAMPLE: $server and $address
  : >"$work/$1.out"  # the child would make it too late for the first look
  "$work/$1" 127.0.0.1:0 >"$work/$1.out" &
  server=$!
  for (( i = 0; i < 500; ++i )); do
    address=$(sed -n 's/^listening on //p' "$work/$1.out")
    [[ -z $address ]] || return 0
    sleep 0.02
  done
  echo "example $1 does not start" >&2
  exit 1
}

start echo
"$load" "ws://$address/" -c 4 -d 0.5 --progress 0
kill "$server"
wait "$server" || true

start chat
/usr/bin/python3 - "$address" <<'EOF'
import asyncio, sys
import websockets

async def main():
    url = f"ws://{sys.argv[1]}/kitchen"
    async with websockets.connect(url) as first:
        assert (await first.recv()).endswith("has come")
        async with websockets.connect(url) as second:
            assert (await first.recv()).endswith("has come")
            await second.recv()
            await first.send("hello")
            for one in (first, second):
                assert (await one.recv()).endswith(" : hello"), "not heard"
        assert (await first.recv()).endswith("has left")
        await first.send(b"x")
        try:
            await first.recv()
        except websockets.ConnectionClosed as end:
            assert end.code == 1003, end.code

asyncio.run(asyncio.wait_for(main(), 20))
EOF
