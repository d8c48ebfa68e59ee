#!/bin/sh
# Runs at the first start of the database: only roles that are let in may connect to it. `prep migrate` makes the role of
# each part, with the password of its address, and lets it in.
set -eu
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC;
SQL
