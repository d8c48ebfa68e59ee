#!/bin/sh
# Runs at the first start of the database. It makes the application's role, which cannot rewrite facts and has its own
# password; `prep migrate` gives the role its rights. psql reads the password from a file, so no list of processes shows it.
set -eu
: "${APP_PASSWORD_FILE:=/run/secrets/postgres_app_password}"
export APP_PASSWORD_FILE
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat "$APP_PASSWORD_FILE"`
CREATE ROLE prep_app LOGIN PASSWORD :'password' CONNECTION LIMIT 200;
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO prep_app;
SQL
