-- Who may cut, and how far a replica has come.

-- name: try_lock
SELECT pg_try_advisory_lock($1)

-- name: unlock
SELECT pg_advisory_unlock($1)

-- name: alive
SELECT 1

-- name: position
SELECT s.system_identifier, current_database() AS database, pg_current_wal_lsn()::text AS lsn FROM pg_control_system() s

-- name: replayed
SELECT s.system_identifier, current_database() AS database, pg_is_in_recovery() AS follows,
    pg_last_wal_replay_lsn() >= $1::text::pg_lsn AS there
FROM pg_control_system() s
