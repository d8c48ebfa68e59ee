#!/bin/sh
# Makes the random secrets that compose.yaml needs, once, in deploy/secrets. A secret that exists already stays.
# The folder is its owner's alone (0700). The files in it can be read inside the containers, each by those it is given to.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets catalogo sello
chmod 755 catalogo sello
chmod 700 secrets

# A secret of 32 random bytes under a name, unless there is one.
made() {
    [ -s "secrets/$1" ] || { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' > "secrets/$1.nuevo" && mv -f "secrets/$1.nuevo" "secrets/$1"; }
    cat "secrets/$1"
}
# A file that holds what the others say; written again, so that it always agrees with them.
said() {
    printf '%s\n' "$2" > "secrets/$1.nuevo"
    mv -f "secrets/$1.nuevo" "secrets/$1"
}

owner=$(made postgres_owner_password)
app=$(made postgres_app_password)
key=$(made prep_s3_key_id)
secret=$(made prep_s3_secret)
made grafana_admin_password > /dev/null
said prep_database "postgresql://prep_app:$app@postgres:5432/prep"
said prep_database_owner "postgresql://prep_owner:$owner@postgres:5432/prep"
said s3_identities "{\"identities\": [{\"name\": \"prep\", \"credentials\": [{\"accessKey\": \"$key\", \"secretKey\": \"$secret\"}], \"actions\": [\"Read:prep\", \"Write:prep\", \"List:prep\"]}]}"
chmod 444 secrets/*

if [ ! -e .env ]; then
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    cat > .env <<ENV
# Where this machine listens, and the name of its Kafka cluster (it stays for as long as its volumes).
KAFKA_CLUSTER_ID=$cluster
RESULTADOS_HTTP=80
RESULTADOS_HTTPS=443
RECEPCION_HTTPS=8443
GRAFANA=127.0.0.1:3000
ENV
fi
if [ ! -e noche.env ]; then
    cat > noche.env <<'ENV'
# The night's settings: each is told in prep/settings.py. A rehearsal until somebody says otherwise.
PREP_SIGLAS=EDO
PREP_SIMULACRO=true
PREP_INTERVAL_SECONDS=300
# PREP_START=2027-06-06T20:00:00-06:00
# PREP_END=2027-06-07T20:00:00-06:00
# What seals: files in deploy/sello (the key: chown 10001, chmod 400), a time stamper, witnesses of the log.
# PREP_SEAL_CERTIFICATE=/sello/sello.pem
# PREP_SEAL_KEY=/sello/sello.llave
# PREP_TSA=https://…
# PREP_TSA_CA=/sello/tiempo.pem
# PREP_LOG_POLICY=/sello/politica.txt
ENV
fi
for name in published capture; do
    for half in crt key; do
        [ -s "secrets/tls_$name.$half" ] || echo "falta deploy/secrets/tls_$name.$half (PEM): el certificado TLS y su llave los pone usted, con modo 444"
    done
done
echo "listo: la clave de Grafana (usuario admin) está en deploy/secrets/grafana_admin_password"
