# Makes a second folder of OpenVINO for programs under AddressSanitizer, and names it; sourced by scripts/fuzz and
# scripts/sanitize. TBB, which OpenVINO computes with, loads its helper for processor groups with RTLD_DEEPBIND, and
# AddressSanitizer ends every program that does. Without the helper TBB goes on.
# shellcheck shell=sh
if [ -d .deps/openvino/lib ]; then
  rm -rf .build-fuzz/openvino
  mkdir -p .build-fuzz/openvino
  # Its libraries look for one another where they were found, which is here.
  ln -s "$PWD"/.deps/openvino/lib/* .build-fuzz/openvino
  rm -f .build-fuzz/openvino/libtbbbind*
  export OPENVINO_LIBRARY="$PWD/.build-fuzz/openvino/libopenvino_c.so"
fi
