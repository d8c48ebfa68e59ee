"""The only room that speaks to PostgreSQL.

Each `NAME.sql` holds named blocks (`-- name: block`); `NAME.py` beside it holds the typed functions over them.
Functions take a connection, so that the caller decides how far a transaction reaches.
"""
