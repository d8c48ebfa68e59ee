#!/bin/sh
# First start of the database: the application's role, that cannot rewrite facts, with a password of its own.
# `prep migrate` gives it its rights. psql reads the password from its file: it is in no list of processes.
set -eu
: "${APP_PASSWORD_FILE:=/run/secrets/postgres_app_password}"
export APP_PASSWORD_FILE
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat "$APP_PASSWORD_FILE"`
CREATE ROLE prep_app LOGIN PASSWORD :'password' CONNECTION LIMIT 200;
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO prep_app;
SQL
