#!/bin/sh
# Starts one role of Apache Pulsar: the distribution's defaults, over them /settings/*.conf in the order of their names, over
# those the settings of the command line. What follows `--` goes to the program itself.
#   start.sh broker advertisedAddress=broker-1
#   start.sh standalone advertisedAddress=broker -- --no-functions-worker
# `myid=N` is not a setting but ZooKeeper's own file: the number of this server.
set -eu
role=$1
shift
case $role in
broker | proxy | standalone | zookeeper) name=$role ;;
bookie) name=bookkeeper ;;
*)
    echo "start.sh: no role '$role'; it knows: bookie, broker, proxy, standalone, zookeeper" >&2
    exit 2
    ;;
esac
settings=${SETTINGS:-/settings} folder=${TMPDIR:-/tmp}
defaults=conf/$name.conf merged=$folder/$name.conf given=$folder/command.conf myid=

: >"$given"
while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    myid=*) myid=${1#myid=} ;;
    *=*) printf '%s\n' "$1" >>"$given" ;;
    *)
        echo "start.sh: '$1' is not name=value" >&2
        exit 2
        ;;
    esac
    shift
done

# A setting must be there once: BookKeeper takes the first of two, the broker the last.
umask 077 # a setting may be a secret
awk -v defaults="$defaults" '
    /^[ \t]*(#|$)/ || !/=/ { next }
    { name = $0; sub(/[ \t]*=.*/, "", name); sub(/^[ \t]+/, "", name) }
    FILENAME == defaults { if (!(name in value)) print; next }
    !(name in value) { order[++count] = name }
    { value[name] = $0 }
    END { for (i = 1; i <= count; i++) print value[order[i]] }
' "$settings"/*.conf "$given" "$defaults" >"$merged"

if [ -n "$myid" ]; then
    data=$(sed -n 's/^dataDir=//p' "$merged")
    mkdir -p "$data"
    echo "$myid" >"$data/myid"
fi

case $role in
broker) export PULSAR_BROKER_CONF="$merged" ;;
bookie) export PULSAR_BOOKKEEPER_CONF="$merged" ;;
proxy) export PULSAR_PROXY_CONF="$merged" ;;
standalone) export PULSAR_STANDALONE_CONF="$merged" ;;
zookeeper) export PULSAR_ZK_CONF="$merged" ;;
esac
exec bin/pulsar "$role" "$@"
