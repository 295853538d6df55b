#!/bin/sh
# Grants the roles of the suite what they may do in the namespace, once: `grant.sh https://broker:8080 [NAMESPACE]`.
# Roles of your own: POST the same for each, with the admin's token.
set -eu
permissions=$1/admin/v2/namespaces/${2:-public/default}/permissions

grant() { # ROLE ACTIONS
    curl --fail --silent --show-error --max-time 20 --cacert /secrets/ca.pem --header @/secrets/authorization \
        --header 'Content-Type: application/json' --data "$2" "$permissions/$1"
    echo "granted $1 $2"
}

grant service '["produce","consume"]'
grant client '["consume"]'
