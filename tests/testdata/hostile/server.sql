-- Roles and databases with names, settings and privileges that break a program which is not careful.
-- For psql, as superuser, on an empty server. Variable `space`: an empty folder that the server may use; `portable`, if set,
-- leaves out what not every build of a server has.
SELECT current_setting('server_version_num')::int >= 150000 AS has15, current_setting('server_version_num')::int >= 160000 AS has16,
       current_setting('server_version_num')::int >= 170000 AS has17,
       EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collversion IS NOT NULL) AS icu \gset
\if :{?portable}
\set icu false
\set pgcrypto false
\endif

-- Roles ------------------------------------------------------------------------------------------------------------
-- In the order of names where more than one is in a policy: pg_dump prints them in the order in which they were made.
CREATE ROLE "-c x" LOGIN;
CREATE ROLE anna LOGIN PASSWORD 'scram' VALID UNTIL 'infinity' CONNECTION LIMIT 3;
SET password_encryption = 'md5';
SET client_min_messages = error; -- newer servers warn of MD5
CREATE ROLE "select" LOGIN PASSWORD 'md5' VALID UNTIL '2038-01-19 03:14:08+00' NOINHERIT CREATEROLE CREATEDB;
RESET client_min_messages;
RESET password_encryption;
CREATE ROLE "user" NOLOGIN BYPASSRLS REPLICATION;
CREATE ROLE "a=b host=evil" SUPERUSER;
CREATE ROLE "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`";
CREATE ROLE "granted by to on role" LOGIN CONNECTION LIMIT 0;
CREATE ROLE "rôle ü 数据库 🛟";
CREATE ROLE "with
two lines	and tab";
CREATE ROLE "sixty-three bytes ääääääääääääääääääääääx";
CREATE ROLE "PUBLIC";
CREATE ROLE "123";
CREATE ROLE owner_a; CREATE ROLE owner_b; CREATE ROLE grantor_a; CREATE ROLE grantor_b; CREATE ROLE grantee;
COMMENT ON ROLE anna IS E'it''s \\ a "role"; -- with\na second line; DROP ROLE anna;';
COMMENT ON ROLE "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`" IS '/* not closed; $$ ';
ALTER ROLE anna SET search_path = "$user", public, "odd ""schema"", x", '';
ALTER ROLE anna SET "lifeboat.odd" = 'a, b = ''c'' \';
ALTER ROLE anna SET DateStyle = 'SQL, DMY';
ALTER ROLE "select" SET default_transaction_read_only = on;
ALTER ROLE "-c x" SET role = 'anna';
ALTER ROLE "rôle ü 数据库 🛟" SET application_name = E'two\nlines; \\ ''';

ALTER ROLE ALL SET "lifeboat.everyone" = 'all; ''x''';

-- Memberships: options, grantors that are not owners, chains.
GRANT anna TO "select" WITH ADMIN OPTION;
GRANT "user" TO anna;
GRANT "granted by to on role" TO "PUBLIC";
GRANT pg_read_all_data, pg_monitor TO "123" WITH ADMIN OPTION;
GRANT grantor_a TO grantor_b WITH ADMIN OPTION;
SET SESSION AUTHORIZATION grantor_b;
GRANT grantor_a TO owner_a WITH ADMIN OPTION;
SET SESSION AUTHORIZATION owner_a;
GRANT grantor_a TO grantee;
RESET SESSION AUTHORIZATION;
GRANT owner_a TO owner_b; GRANT owner_b TO grantee;
\if :has16
GRANT owner_a TO "rôle ü 数据库 🛟" WITH INHERIT FALSE, SET FALSE;
GRANT owner_b TO "rôle ü 数据库 🛟" WITH INHERIT TRUE, SET FALSE, ADMIN TRUE;
\endif
\if :has15
GRANT SET ON PARAMETER work_mem TO anna WITH GRANT OPTION;
GRANT SET, ALTER SYSTEM ON PARAMETER log_statement TO "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`";
SET SESSION AUTHORIZATION anna;
GRANT SET ON PARAMETER work_mem TO "granted by to on role";
RESET SESSION AUTHORIZATION;
GRANT SET ON PARAMETER "lifeboat.odd" TO PUBLIC;
\endif

-- Databases --------------------------------------------------------------------------------------------------------
CREATE DATABASE hostile OWNER anna CONNECTION LIMIT 17;
COMMENT ON DATABASE hostile IS E'it''s "hostile"; \\ -- two\nlines';
REVOKE ALL ON DATABASE hostile FROM PUBLIC;
GRANT CONNECT ON DATABASE hostile TO "select" WITH GRANT OPTION;
GRANT CREATE, TEMPORARY ON DATABASE hostile TO "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`";
SET SESSION AUTHORIZATION "select";
GRANT CONNECT ON DATABASE hostile TO "-c x";
RESET SESSION AUTHORIZATION;
ALTER DATABASE hostile SET search_path = "$user", "odd ""schema"", x", public;
ALTER DATABASE hostile SET "lifeboat.odd.deep" = 'x = y, ''z''';
ALTER DATABASE hostile SET "lifeboat"."Mixed" = '';
ALTER ROLE anna IN DATABASE hostile SET work_mem = '7MB';
ALTER ROLE "odd; DROP ROLE anna; -- ""q"" 'q' \ % $x$ ${HOME} `id`" IN DATABASE hostile SET search_path = '';

CREATE DATABASE naive OWNER "a=b host=evil";
CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE japan TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'POSIX';
ALTER DATABASE ascii SET client_encoding = 'UTF8';
CREATE DATABASE mould TEMPLATE template0 LC_COLLATE 'POSIX' LC_CTYPE 'C.UTF-8' IS_TEMPLATE true;
\if :icu
CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk-kn' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8';
\endif
\if :has17
CREATE DATABASE builtin TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C';
\endif
\if :has15
CREATE DATABASE "-c x";
CREATE DATABASE "dbname=postgres host=evil";
CREATE DATABASE "postgres://evil:x@nowhere/postgres";
CREATE DATABASE "per%cent $HOME `id` \back 'q' ""dq"" .; --";
CREATE DATABASE "with
two lines	and tab";
CREATE DATABASE "sixty-three bytes ääääääääääääääääääääääx";
CREATE DATABASE "../../etc/passwd";
CREATE DATABASE "globals";
CREATE DATABASE "Template1 ";
\endif
CREATE TABLESPACE "space ""1""" OWNER anna LOCATION :'space';
COMMENT ON TABLESPACE "space ""1""" IS 'a "space"';
GRANT CREATE ON TABLESPACE "space ""1""" TO "select" WITH GRANT OPTION;
ALTER TABLESPACE "space ""1""" SET (random_page_cost = 1.1);
CREATE DATABASE spaced TABLESPACE "space ""1""" OWNER anna;
CREATE DATABASE closed OWNER owner_a ALLOW_CONNECTIONS false;

-- What administrators do to the databases that every server has.
\connect template1
DROP SCHEMA public;
CREATE SCHEMA tools;
CREATE TABLE tools.defaults AS SELECT 'from template1' AS v;
\connect postgres
CREATE TABLE maintenance (i int); INSERT INTO maintenance VALUES (1);
COMMENT ON DATABASE postgres IS 'not the default comment';
ALTER DATABASE postgres SET log_min_duration_statement = '5s';
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
\connect latin
SET client_encoding = 'UTF8';
CREATE TABLE "café ß" ("ä" text CHECK ("ä" <> 'ö')); INSERT INTO "café ß" VALUES ('äöüÿ');
COMMENT ON TABLE "café ß" IS 'ñ';
CREATE TYPE "größe" AS ENUM ('klein', 'größer');
CREATE FUNCTION "grüße"() RETURNS text LANGUAGE sql AS $$ SELECT 'grüß'::text $$;
\connect japan
SET client_encoding = 'UTF8';
CREATE TABLE "表" ("列" text); INSERT INTO "表" VALUES ('日本語テスト'), ('～－');
\connect ascii
SET client_encoding = 'SQL_ASCII';
CREATE TABLE bytes (t text); INSERT INTO bytes VALUES (E'\xff\xfe broken \xc3'), (E'\xe4\\n\t');
\encoding SQL_ASCII
SELECT format('CREATE TABLE %I (%I text)', convert_from('\x7461626cff65', 'SQL_ASCII'), convert_from('\xe4', 'SQL_ASCII')) \gexec
SELECT format('INSERT INTO %I VALUES (''x'')', convert_from('\x7461626cff65', 'SQL_ASCII')) \gexec
\connect "globals"
DROP EXTENSION plpgsql; DROP SCHEMA public; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS i;
\connect mould
CREATE TABLE in_template AS SELECT g AS i FROM generate_series(1, 10) g;
\connect spaced
CREATE TABLE here (i int) TABLESPACE pg_default; INSERT INTO here VALUES (1);
CREATE TABLE there (i int PRIMARY KEY); INSERT INTO there VALUES (2);
\connect hostile
