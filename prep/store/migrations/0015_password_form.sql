-- Passwords are kept with Argon2id. One that was kept with scrypt is rewritten at the next login of its person, who alone
-- knows it. The application's role still cannot update a person: it may call this function, which touches nothing but
-- a password in the old form that is still the one the caller has read.

CREATE FUNCTION rewrite_password(who integer, stored text, rewritten text) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        UPDATE person SET password = rewritten
        WHERE id = who AND password = stored AND stored LIKE 'scrypt$%' AND rewritten LIKE '$argon2id$v=19$%';
    END;
REVOKE EXECUTE ON FUNCTION rewrite_password FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rewrite_password TO prep_app;
