#!/usr/bin/env bash
# One binary a peer, in target/bin, and the program that runs the rounds: ./build.sh [PEER...]
# A peer that does not build is named at the end and left out of the rounds; the others take part all the same.
set -uo pipefail
cd "$(dirname "$0")"
bin=target/bin
mkdir -p "$bin"
[[ $# -gt 0 ]] || set -- rounds null ours barnabas krafka kacrab rdkafka rskafka confluent go-franz go-kafkago go-sarama
bad=()
for peer in "$@"; do
  echo "== $peer" >&2
  case $peer in
    rounds)
      cargo build --release --locked --bin rounds --features rounds && cp target/release/rounds "$bin/rounds" ;;
    go-*)
      (cd go && go build -o "../$bin/e2e-$peer" "./${peer#go-}") ;;
    null)
      cargo build --release --locked --bin e2e && cp target/release/e2e "$bin/e2e-null" ;;
    *)
      cargo build --release --locked --bin e2e --features "peer-$peer" && cp target/release/e2e "$bin/e2e-$peer" ;;
  esac || bad+=("$peer")
done
[[ ${#bad[@]} -eq 0 ]] || { echo "not built: ${bad[*]}" >&2; exit 1; }
