#!/usr/bin/env bash
# All that is to be done on a machine with an NVIDIA card; needs nanoemo[cuda12] or [cuda13], pytest and PyTorch.
#
#     docs/benchmarks/measure_on_card.sh [tests|train|bench|sanitizer]... [fer2013.csv]
#
# Without a part, all four. PYTHON names another python3. With pytest-xdist four processes share the tests, no more, as each
# takes some half a gigabyte of the card for itself. Writes docs/benchmarks/DATE-CARD.json, the table in README.md beside it, and
# DATE-CARD.log; the first and the last to another folder where OUT names one. MODELS="njoku.cnn chater.lstm" measures these alone.
set -uo pipefail
cd "$(dirname "$0")/../.."

parts=() data=()
for argument in "$@"; do
    case "$argument" in
        tests | sanitizer | train | bench) parts+=("$argument") ;;
        *) data=(--data "$argument") ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(tests train bench sanitizer)

python=${PYTHON:-python3}
share=()
"$python" -c 'import xdist' 2> /dev/null && share=(-n 4)
card=$("$python" -c 'import cupy; print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())') || exit 2
name="${OUT:-docs/benchmarks}/$(date +%F)-$(tr ' [:upper:]' '-[:lower:]' <<< "$card")"
export NANOEMO_REQUIRE_GPU=1
failed=()

run() { "$@" 2>&1 | tee -a "$name.log" || failed+=("$*"); }

for part in "${parts[@]}"; do
    case "$part" in
        tests) run "$python" -m pytest -q -m gpu "${share[@]}" --deselect tests/test_cuda_sanitizer.py ;;
        sanitizer) run "$python" -m pytest -q -m gpu tests/test_cuda_sanitizer.py ;;
        train) run "$python" -m nanoemo train njoku.cnn --device cuda --epochs 10 "${data[@]}" ;;
        bench)
            run "$python" -m nanoemo bench ${MODELS:-} --device cuda --against torch --json "$name.json"
            run "$python" docs/benchmarks/make_table.py "$name.json" docs/benchmarks/README.md ;;
    esac
done
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}"; exit 1; }
echo "to commit: $name.* docs/benchmarks/README.md"
echo "to be taken out by hand: that no card could be had (docs/benchmarks/README.md, README.md), and what docs/gpu.md did not know"
