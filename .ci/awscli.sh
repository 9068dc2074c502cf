#!/usr/bin/env bash
# boto3 and the AWS command line, both versions of it, against `amx serve --ssm-listen`: the clients
# that people have, not the SDK that amx itself is built with. It needs Python
# with venv, and a registry the first time; without Python it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.tools/awscli
if ! command -v python3 >/dev/null; then
	echo "skipped: there is no python3"
	exit 0
fi
# The file pins has the versions that are installed. If they change here, they are
# installed again.
pins=(awscli==1.45.11 boto3==1.43.11 botocore==1.43.11)
if [[ "$(cat "$venv/pins" 2>/dev/null)" != "${pins[*]}" ]]; then
	python3 -m venv --clear "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check "${pins[@]}"
	echo "${pins[*]}" >"$venv/pins"
fi
make build
"$venv/bin/python" .ci/awscli_test.py bin/amx "$venv/bin/aws"

# Version 2 is another program, which only Debian has as a package.
two=$(.ci/aws2)
if [[ -n $two ]]; then
	"$venv/bin/python" .ci/awscli_test.py bin/amx "$two" CommandLine
fi
