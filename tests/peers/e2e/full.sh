#!/usr/bin/env bash
# Everything, on a machine with nothing else to do: builds what is missing, starts Apache Kafka 4.4.0 with one broker, then
# with three, runs the rounds that are not in results/ yet, and writes results/tables.md. Stopped, it goes on where it was.
# Arguments go to the rounds: ./full.sh --rounds 7 --only produce-100
set -euo pipefail
cd "$(dirname "$0")"
root=$PWD/../../..
# A broker maps two files a partition: by default it dies of 30,000.
if [[ $(cat /proc/sys/vm/max_map_count 2>/dev/null || echo 0) -lt 262144 ]]; then
  sysctl -qw vm.max_map_count=262144 || echo "vm.max_map_count is below 262144: 10,000 partitions will be too many" >&2
fi
for peer in rounds null ours barnabas krafka kacrab rdkafka rskafka confluent go-franz go-kafkago go-sarama; do
  [[ -x target/bin/e2e-$peer || -x target/bin/$peer ]] || ./build.sh "$peer" || true
done
# It keeps one open, too, and those of a deleted topic for a minute: they must be closed before the next topic is there.
for brokers in 1 3; do
  (cd "$root" && cargo xtask cluster down --all)
  addresses=$(cd "$root" &&
    cargo xtask cluster up --kafka 4.4.0 --brokers "$brokers" --property log.segment.delete.delay.ms=1000 | tail -1)
  target/bin/rounds --brokers "$addresses" "$@"
done
(cd "$root" && cargo xtask cluster down --all)
