#!/bin/sh
# Makes the random secrets that compose.yaml needs, in deploy/secrets. People should not choose them. A second run keeps
# the secrets of the first.
# Only the owner can enter the folder (0700). Inside the containers, each file can be read by the services that get it.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets catalogo sello
chmod 755 catalogo sello
chmod 700 secrets

# Make and print a secret of 32 random bytes. If the file exists, print that one. The rename keeps half a file from
# becoming a secret if this script dies.
made() {
    [ -s "secrets/$1" ] || { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' > "secrets/$1.nuevo" && mv -f "secrets/$1.nuevo" "secrets/$1"; }
    cat "secrets/$1"
}
# Write a file whose content comes from the other secrets. Every run writes it again, so that it always agrees with them.
said() {
    printf '%s\n' "$2" > "secrets/$1.nuevo"
    mv -f "secrets/$1.nuevo" "secrets/$1"
}

owner=$(made postgres_owner_password)
key=$(made prep_s3_key_id)
secret=$(made prep_s3_secret)
made grafana_admin_password > /dev/null
# Each part of the installation enters with a role and a password of its own.
for part in capture worker publisher sequencer audit; do
    said "prep_database_$part" "postgresql://prep_$part:$(made "postgres_${part}_password")@postgres:5432/prep"
done
said prep_database_owner "postgresql://prep_owner:$owner@postgres:5432/prep"
said s3_identities "{\"identities\": [{\"name\": \"prep\", \"credentials\": [{\"accessKey\": \"$key\", \"secretKey\": \"$secret\"}], \"actions\": [\"Read:prep\", \"Write:prep\", \"List:prep\"]}]}"
chmod 444 secrets/*

if [ ! -e .env ]; then
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    cat > .env <<ENV
# The ports on which this machine listens, and the name of its Kafka cluster (never change it while the volumes exist).
KAFKA_CLUSTER_ID=$cluster
RESULTADOS_HTTP=80
RESULTADOS_HTTPS=443
RECEPCION_HTTPS=8443
GRAFANA=127.0.0.1:3000
ENV
fi
if [ ! -e noche.env ]; then
    cat > noche.env <<'ENV'
# The settings of these machines; prep/settings.py explains each one. The night itself (simulacro or real, siglas, hours)
# is declared in catalogo/noche.toml and loaded with `prep night init`: no variable says anything of it.
# Where readers find the published tree, for the picture of an election beside a link:
# PREP_SITE_URL=https://…
# For the seal: files in deploy/sello (the key: chown 10001, chmod 400) and a time stamp authority.
# PREP_SEAL_CERTIFICATE=/sello/sello.pem
# PREP_SEAL_KEY=/sello/sello.llave
# PREP_TSA=https://…
# PREP_TSA_CA=/sello/tiempo.pem
ENV
fi
for name in published capture; do
    for half in crt key; do
        [ -s "secrets/tls_$name.$half" ] || echo "falta deploy/secrets/tls_$name.$half (PEM): el certificado TLS y su llave los pone usted, con modo 444"
    done
done
echo "listo: la clave de Grafana (usuario admin) está en deploy/secrets/grafana_admin_password"
