#!/bin/sh
# Sends one alert to the amx serve on this machine, in Alertmanager's form:
#
#   sh examples/alert.sh firing alertname=InstanceDown instance=web-1
#   sh examples/alert.sh resolved alertname=InstanceDown instance=web-1
#
# and prints the answer. A value must not have quotes or backslashes in it.
status=$1 labels=
shift
for label in "$@"; do
	labels="$labels${labels:+, }\"${label%%=*}\": \"${label#*=}\""
done
exec curl -sS http://127.0.0.1:8080/ -d "{
  \"version\": \"4\", \"receiver\": \"amx\", \"status\": \"$status\",
  \"groupLabels\": {$labels}, \"commonLabels\": {$labels},
  \"alerts\": [{\"status\": \"$status\", \"labels\": {$labels}}]
}"
