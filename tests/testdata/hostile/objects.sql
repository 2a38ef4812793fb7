-- Everything that is not a table, and what runs while tables are loaded.
SELECT current_setting('server_version_num')::int >= 150000 AS has15, current_setting('server_version_num')::int >= 180000 AS has18,
       current_setting('server_version_num')::int >= 140000 AS has14,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgcrypto') AS pgcrypto \gset
\if :{?portable}
\set icu false
\set pgcrypto false
\endif
CREATE SCHEMA o;
SET search_path = o, public;
-- Types over types.
CREATE DOMAIN positive AS int CHECK (VALUE > 0) DEFAULT 7; CREATE DOMAIN small AS positive CONSTRAINT "less; than" CHECK (VALUE < 100) NOT NULL;
CREATE TYPE pair AS (a int, b text COLLATE "C"); CREATE TYPE nested AS (p pair, ps pair[], s small[]); CREATE DOMAIN pairs AS pair[] CHECK (cardinality(VALUE) < 5);
CREATE TYPE empty_type AS (); CREATE TYPE empty_enum AS ENUM ();
CREATE TYPE shell_only;
CREATE TABLE composite (n nested, d small, p pairs, t pair); INSERT INTO composite VALUES (ROW(ROW(1, 'a,"b"\'), ARRAY[ROW(2, NULL)::pair, NULL], '{3}')::nested, 5, ARRAY[ROW(1, ')')]::pair[], NULL);
CREATE DOMAIN broken AS int; CREATE TABLE of_broken (b broken); INSERT INTO of_broken VALUES (-1); ALTER DOMAIN broken ADD CONSTRAINT later CHECK (VALUE > 0) NOT VALID;
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE of_type OF pair (a WITH OPTIONS PRIMARY KEY); INSERT INTO of_type VALUES (1, 'x');
-- Functions that name things without a schema, used where a load calls them.
CREATE TABLE rates (k text PRIMARY KEY, r numeric); INSERT INTO rates VALUES ('a', 1.5);
CREATE FUNCTION rate(k text) RETURNS numeric LANGUAGE sql STABLE SET search_path = o, pg_temp AS $$ SELECT r FROM rates WHERE rates.k = $1 $$;
CREATE FUNCTION norm(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = o AS $fn$ BEGIN RETURN lower(t); END $fn$;
CREATE FUNCTION plain_norm(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT pg_catalog.upper($1)';
CREATE TABLE uses_functions (t text CHECK (norm(t) <> 'bad'), u text GENERATED ALWAYS AS (plain_norm(t)) STORED, d numeric DEFAULT rate('a')); INSERT INTO uses_functions (t) VALUES ('Good'), ('Other');
CREATE INDEX ON uses_functions (norm(t)); CREATE UNIQUE INDEX ON uses_functions (plain_norm(t)) WHERE norm(t) IS NOT NULL;
CREATE FUNCTION "odd ""fn""; x"("a b" int DEFAULT 5, VARIADIC "r""est" text[] DEFAULT $d${}$d$) RETURNS SETOF int LANGUAGE sql AS $_$ SELECT $1 $_$;
CREATE FUNCTION dollars() RETURNS text LANGUAGE sql COST 7 LEAKPROOF SECURITY DEFINER SET work_mem = '7MB' SET search_path FROM CURRENT AS $x$ SELECT '$_$ $$ $fn$ \n '';' $x$;
CREATE PROCEDURE proc(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; END $$;
\if :has14
CREATE FUNCTION atomic(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int + i FROM rates; SELECT max(r)::int FROM rates; END;
\endif
CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int, initcond = '0', combinefunc = int4pl, parallel = safe);
CREATE AGGREGATE hypo(VARIADIC "any" ORDER BY VARIADIC "any") (sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final, finalfunc_extra, hypothetical);
CREATE FUNCTION abs_lt(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) < abs($2)';
CREATE FUNCTION abs_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(abs($1), abs($2))';
CREATE OPERATOR <<< (leftarg = int, rightarg = int, procedure = abs_lt, commutator = OPERATOR(o.>>>), restrict = scalarltsel);
CREATE OPERATOR >>> (leftarg = int, rightarg = int, procedure = abs_lt, commutator = OPERATOR(o.<<<));
CREATE FUNCTION abs_eq(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) = abs($2)'; CREATE OPERATOR === (leftarg = int, rightarg = int, procedure = abs_eq);
CREATE OPERATOR FAMILY abs_family USING btree; CREATE OPERATOR CLASS abs_ops FOR TYPE int USING btree FAMILY abs_family AS OPERATOR 1 <<<, OPERATOR 3 ===, FUNCTION 1 abs_cmp(int, int);
CREATE TABLE by_abs (i int); INSERT INTO by_abs VALUES (-3), (2); CREATE INDEX ON by_abs (i abs_ops);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1, NULL)::o.pair'; CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT; CREATE CAST (pair AS text) WITH INOUT;
CREATE TEXT SEARCH DICTIONARY dict (template = pg_catalog.simple, stopwords = 'english', accept = false); CREATE TEXT SEARCH CONFIGURATION "odd cfg" (copy = english); ALTER TEXT SEARCH CONFIGURATION "odd cfg" ALTER MAPPING FOR asciiword WITH dict, simple;
CREATE TEXT SEARCH PARSER p (start = prsd_start, gettoken = prsd_nexttoken, "end" = prsd_end, lextypes = prsd_lextype, headline = prsd_headline);
CREATE TABLE documents (t text, v tsvector GENERATED ALWAYS AS (to_tsvector('o."odd cfg"', t)) STORED); INSERT INTO documents (t) VALUES ('the quick brown fox'); CREATE INDEX ON documents USING gin (v);
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE in_heap2 (i int) USING heap2; INSERT INTO in_heap2 VALUES (1);
CREATE FUNCTION host_call() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'; CREATE FUNCTION host_inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler'; CREATE FUNCTION host_check(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE plhost HANDLER host_call INLINE host_inline VALIDATOR host_check; CREATE FUNCTION in_plhost() RETURNS int LANGUAGE plhost AS $$ BEGIN RETURN 1; END $$;
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
-- Views on views, recursive ones, with rules; materialized views on each other, one without rows.
CREATE VIEW "odd view" ("select", "b c") WITH (security_barrier) AS SELECT i, i + 1 FROM by_abs WITH CASCADED CHECK OPTION; CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW early AS SELECT 1 AS a, NULL::text AS b; CREATE VIEW late AS SELECT * FROM early; CREATE OR REPLACE VIEW early AS SELECT i AS a, i::text AS b FROM by_abs;
CREATE MATERIALIZED VIEW m1 AS SELECT i, norm(i::text) AS t FROM by_abs; CREATE UNIQUE INDEX ON m1 (i); CREATE MATERIALIZED VIEW m2 AS SELECT count(*) FROM m1 JOIN by_abs USING (i); CREATE MATERIALIZED VIEW m3 AS SELECT * FROM m2 WITH NO DATA; CREATE MATERIALIZED VIEW m4 AS SELECT random() < 2 AS always FROM "odd view"; CREATE INDEX ON m3 (count);
CREATE TABLE ruled (i int); CREATE TABLE rule_log (t text); INSERT INTO ruled VALUES (1); CREATE RULE "log; it" AS ON INSERT TO ruled DO ALSO INSERT INTO rule_log VALUES ('rule ran');
CREATE RULE never AS ON DELETE TO ruled DO INSTEAD NOTHING; ALTER TABLE ruled DISABLE RULE never; CREATE RULE always AS ON UPDATE TO ruled DO INSTEAD NOTIFY "odd channel"; ALTER TABLE ruled ENABLE ALWAYS RULE always;
-- Triggers that would fire while loading.
CREATE TABLE triggered (i int); CREATE TABLE trigger_log (t text);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO o.trigger_log VALUES (tg_name || ' ' || tg_op); RETURN new; END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger ran while loading'; END $$;
INSERT INTO triggered VALUES (1), (2);
CREATE TRIGGER "always; ""on""" BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION refuse(); ALTER TABLE triggered ENABLE ALWAYS TRIGGER "always; ""on""";
CREATE TRIGGER replica AFTER INSERT ON triggered FOR EACH STATEMENT EXECUTE FUNCTION refuse(); ALTER TABLE triggered ENABLE REPLICA TRIGGER replica;
CREATE TRIGGER off AFTER UPDATE OF i ON triggered FOR EACH ROW WHEN (old.i IS DISTINCT FROM new.i) EXECUTE FUNCTION log_it('a', '''b\'); ALTER TABLE triggered DISABLE TRIGGER off;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON triggered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER partitioned AFTER INSERT ON shape.parts FOR EACH ROW EXECUTE FUNCTION log_it(); ALTER TABLE shape.parts_rest DISABLE TRIGGER partitioned;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an event trigger ran while loading'; END $$;
-- Row security that holds even its owner.
CREATE TABLE secured (i int, who name DEFAULT current_user); INSERT INTO secured VALUES (1, 'anna'), (2, 'nobody'); ALTER TABLE secured OWNER TO anna; ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "only ""mine""" ON secured AS RESTRICTIVE FOR SELECT TO anna, "-c x" USING (who = current_user); CREATE POLICY p2 ON secured FOR ALL TO PUBLIC USING (false) WITH CHECK (i > 0);
-- Large objects: many, empty, sparse, large; with owners, privileges, comments.
SELECT count(lo_create(20000 + g)) FROM generate_series(1, 300) g; SELECT lo_from_bytea(4294967295, '\xff'), lo_from_bytea(1, decode(repeat('5c0a00', 100000), 'hex'));
SELECT lo_put(20001, 5000000, '\xdead'); SELECT lo_put(20002, 2048, '\x01'); ALTER LARGE OBJECT 20001 OWNER TO anna; GRANT SELECT, UPDATE ON LARGE OBJECT 20002 TO "select" WITH GRANT OPTION; GRANT SELECT ON LARGE OBJECT 20003 TO PUBLIC; REVOKE ALL ON LARGE OBJECT 20004 FROM postgres; COMMENT ON LARGE OBJECT 1 IS E'large\n''object''';
-- Logical replication, foreign data.
CREATE PUBLICATION "all; tables" FOR ALL TABLES WITH (publish = 'insert, truncate'); CREATE PUBLICATION none; CREATE PUBLICATION "some" FOR TABLE by_abs, ONLY rates WITH (publish_via_partition_root);
\if :has15
CREATE PUBLICATION filtered FOR TABLE rates (k) WHERE (k <> $$it's$$); CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA evil, TABLE rates WHERE (r > 0);
\endif
SET client_min_messages = error;
CREATE SUBSCRIPTION "odd sub" CONNECTION 'host=nowhere password=secret-of-subscription dbname=x' PUBLICATION p1, "p 2" WITH (connect = false, slot_name = NONE, enabled = false);
RESET client_min_messages;
CREATE FOREIGN DATA WRAPPER fdw OPTIONS (debug 'tr''ue'); CREATE SERVER "odd server" TYPE 't' VERSION '1.0' FOREIGN DATA WRAPPER fdw OPTIONS (host 'no''where', "odd opt" '\'); CREATE USER MAPPING FOR anna SERVER "odd server" OPTIONS ("user" 'x', password 'secret-of-mapping'); CREATE USER MAPPING FOR PUBLIC SERVER "odd server";
CREATE FOREIGN TABLE distant (a int OPTIONS (column_name 'A b'), b text NOT NULL CHECK (b <> '')) SERVER "odd server" OPTIONS (table_name 'T'); CREATE FOREIGN TABLE shape.parts_far PARTITION OF shape.by_expr FOR VALUES FROM ('n', 1990) TO ('z', 2000) SERVER "odd server";
-- Extensions, one in a schema of its own, and a table over their types.
CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION citext SCHEMA public; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm SCHEMA ext; CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE EXTENSION btree_gist; CREATE EXTENSION intarray; CREATE EXTENSION unaccent; CREATE EXTENSION isn; CREATE EXTENSION seg; CREATE EXTENSION bloom; CREATE EXTENSION lo; CREATE EXTENSION tablefunc; CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw; CREATE EXTENSION dict_int; CREATE EXTENSION pg_stat_statements;
\if :pgcrypto
CREATE EXTENSION pgcrypto SCHEMA ext; CREATE EXTENSION "uuid-ossp";
\endif
CREATE TABLE of_extensions (h ext.hstore, c citext PRIMARY KEY, l ltree, q cube, isbn isbn, s seg, lo lo); INSERT INTO of_extensions VALUES ('"a=>"=>"\"", b=>NULL', 'CaSe', 'a.b_c.d', '(0,0),(1,1)', '978-0-393-04002-9', '1 .. 2', 20001);
CREATE INDEX ON of_extensions USING gist (l); CREATE INDEX ON of_extensions USING gin (c ext.gin_trgm_ops); CREATE TABLE rooms (r int, d daterange, EXCLUDE USING gist (r WITH =, d WITH &&)); INSERT INTO rooms VALUES (1, '[2020-01-01,2020-02-01)');
CREATE TRIGGER managed BEFORE UPDATE OR DELETE ON of_extensions FOR EACH ROW EXECUTE FUNCTION lo_manage(lo);
GRANT EXECUTE ON FUNCTION ext.similarity(text, text) TO "-c x"; REVOKE ALL ON FUNCTION ext.show_trgm(text) FROM PUBLIC; COMMENT ON EXTENSION hstore IS 'changed';
CREATE FUNCTION member() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION citext ADD FUNCTION member(); CREATE VIEW depends AS SELECT 1; ALTER FUNCTION norm(text) DEPENDS ON EXTENSION citext;
-- Comments on everything.
COMMENT ON SCHEMA o IS E'\\ '' -- \n;'; COMMENT ON TABLE triggered IS ''''; COMMENT ON COLUMN triggered.i IS E'\\.'; COMMENT ON FUNCTION "odd ""fn""; x"(int, text[]) IS 'f'; COMMENT ON TYPE pair IS 't'; COMMENT ON COLUMN pair.a IS 'a'; COMMENT ON DOMAIN small IS 'd'; COMMENT ON CONSTRAINT "less; than" ON DOMAIN small IS 'dc';
COMMENT ON TRIGGER "always; ""on""" ON triggered IS 't'; COMMENT ON RULE "log; it" ON ruled IS 'r'; COMMENT ON POLICY p2 ON secured IS 'p'; COMMENT ON INDEX shape."odd index ""x""" IS 'i'; COMMENT ON SEQUENCE shape.loose IS 's'; COMMENT ON VIEW "odd view" IS 'v'; COMMENT ON MATERIALIZED VIEW m3 IS 'm'; COMMENT ON OPERATOR === (int, int) IS 'o';
COMMENT ON CAST (int AS pair) IS 'c'; COMMENT ON AGGREGATE total(int) IS 'a'; COMMENT ON COLLATION shape."c copy" IS 'c'; COMMENT ON PUBLICATION none IS 'p'; COMMENT ON SUBSCRIPTION "odd sub" IS 's'; COMMENT ON SERVER "odd server" IS 's'; COMMENT ON FOREIGN TABLE distant IS 'f'; COMMENT ON TEXT SEARCH CONFIGURATION "odd cfg" IS 't'; COMMENT ON LANGUAGE plhost IS 'l'; COMMENT ON ACCESS METHOD heap2 IS 'h'; COMMENT ON OPERATOR CLASS abs_ops USING btree IS 'oc'; COMMENT ON CONSTRAINT "ref s" ON shape.invalid IS 'fk';
-- Privileges: per column, with grant options, given by others than the owner.
GRANT USAGE ON SCHEMA o TO PUBLIC; GRANT CREATE ON SCHEMA o TO anna, owner_a WITH GRANT OPTION; ALTER TABLE rates OWNER TO owner_a; GRANT SELECT ON rates TO grantor_a WITH GRANT OPTION; SET SESSION AUTHORIZATION grantor_a; GRANT SELECT ON rates TO grantee, PUBLIC; RESET SESSION AUTHORIZATION;
GRANT SELECT (k), UPDATE (r) ON rates TO "select" WITH GRANT OPTION; SET SESSION AUTHORIZATION "select"; GRANT SELECT (k) ON rates TO "-c x"; RESET SESSION AUTHORIZATION; REVOKE ALL ON triggered FROM postgres; GRANT ALL ON ALL TABLES IN SCHEMA evil TO "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`";
REVOKE EXECUTE ON FUNCTION dollars() FROM PUBLIC; GRANT EXECUTE ON FUNCTION dollars() TO anna WITH GRANT OPTION; REVOKE USAGE ON TYPE pair FROM PUBLIC; GRANT USAGE ON TYPE pair TO "123"; GRANT USAGE ON LANGUAGE plhost TO anna; GRANT USAGE ON FOREIGN SERVER "odd server" TO anna WITH GRANT OPTION; GRANT USAGE ON FOREIGN DATA WRAPPER fdw TO anna; GRANT USAGE, SELECT ON SEQUENCE shape.loose TO anna; GRANT SELECT ON pg_catalog.pg_authid TO "user"; REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) FROM PUBLIC; GRANT CREATE ON TABLESPACE "space ""1""" TO anna;
ALTER DEFAULT PRIVILEGES FOR ROLE anna IN SCHEMA o GRANT SELECT ON TABLES TO "-c x"; ALTER DEFAULT PRIVILEGES FOR ROLE anna REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO anna WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES FOR ROLE owner_a REVOKE ALL ON TABLES FROM owner_a;
ALTER SCHEMA evil OWNER TO "rôle ü 数据库 🛟"; ALTER TYPE shape.mood OWNER TO anna;
REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO "123"; COMMENT ON SCHEMA public IS 'not the standard one'; ALTER SCHEMA public OWNER TO anna;
ALTER TABLE shape.big OWNER TO owner_b; ALTER FUNCTION rate(text) OWNER TO owner_a; ALTER PUBLICATION "some" OWNER TO anna; ALTER SERVER "odd server" OWNER TO "a=b host=evil"; ALTER LANGUAGE plhost OWNER TO "a=b host=evil";
RESET search_path;
-- Last, or nothing could have been made.
CREATE EVENT TRIGGER "no; ddl" ON ddl_command_start WHEN TAG IN ('DROP TABLE', 'CREATE TABLE') EXECUTE FUNCTION o.on_ddl(); ALTER EVENT TRIGGER "no; ddl" ENABLE ALWAYS; CREATE EVENT TRIGGER quiet ON sql_drop EXECUTE FUNCTION o.on_ddl(); ALTER EVENT TRIGGER quiet DISABLE; COMMENT ON EVENT TRIGGER quiet IS 'e';
