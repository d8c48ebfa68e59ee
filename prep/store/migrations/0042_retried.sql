-- The desk sends a parked message again. The group that parked it has marked it done: that mark goes, and no other one.
CREATE FUNCTION unmark_retried(which bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM done d USING parked p
    WHERE p.id = which AND p.state = 'retried' AND d.consumers = p.consumers AND d.message = p.message
$$;
REVOKE EXECUTE ON FUNCTION unmark_retried FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unmark_retried TO prep_capture, prep_worker, prep_app;
