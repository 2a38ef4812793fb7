-- A database whose settings change how values are read and written, or end a session that did not override them.
SELECT current_setting('server_version_num')::int >= 170000 AS has17 \gset
SET xmloption = content;
CREATE TABLE numbers (f float8, d date, i interval, b bytea, a text[], t text, z timestamptz, c regclass, m money);
INSERT INTO numbers VALUES (0.1 + 0.2, '2020-02-03', '-1 year +2 days', '\x00ff5c', ARRAY[NULL, 'NULL'], E'ü 数 \\ ''', '2020-02-03 04:05:06+00', 'public.numbers', 12.34);
CREATE SCHEMA evil; CREATE TABLE evil.numbers (x int);
CREATE TABLE parent (i int PRIMARY KEY); INSERT INTO parent VALUES (1); CREATE TABLE child (i int REFERENCES parent); INSERT INTO child VALUES (1);
CREATE VIEW quoted AS SELECT f FROM numbers;
CREATE TABLE nulls AS SELECT * FROM numbers WHERE f = NULL;
SELECT lo_from_bytea(77, '\x00ff');
ALTER DATABASE naive SET default_transaction_read_only = on;
ALTER DATABASE naive SET default_transaction_isolation = 'serializable';
ALTER DATABASE naive SET default_transaction_deferrable = on;
ALTER DATABASE naive SET statement_timeout = '1ms';
ALTER DATABASE naive SET lock_timeout = '1ms';
ALTER DATABASE naive SET idle_in_transaction_session_timeout = '1ms';
ALTER DATABASE naive SET search_path = evil, pg_catalog;
ALTER DATABASE naive SET row_security = on;
ALTER DATABASE naive SET DateStyle = 'German, DMY';
ALTER DATABASE naive SET IntervalStyle = 'sql_standard';
ALTER DATABASE naive SET TimeZone = 'Asia/Kathmandu';
ALTER DATABASE naive SET extra_float_digits = -15;
ALTER DATABASE naive SET bytea_output = 'escape';
ALTER DATABASE naive SET client_encoding = 'LATIN1';
SET escape_string_warning = off;
ALTER DATABASE naive SET standard_conforming_strings = off;
ALTER DATABASE naive SET xmloption = 'document';
ALTER DATABASE naive SET session_replication_role = 'replica';
ALTER DATABASE naive SET array_nulls = off;
ALTER DATABASE naive SET transform_null_equals = on;
ALTER DATABASE naive SET check_function_bodies = on;
ALTER DATABASE naive SET quote_all_identifiers = on;
ALTER DATABASE naive SET synchronize_seqscans = on;
ALTER DATABASE naive SET lo_compat_privileges = on;
ALTER DATABASE naive SET default_with_oids = off;
ALTER ROLE postgres IN DATABASE naive SET default_transaction_read_only = on;
ALTER ROLE postgres IN DATABASE naive SET search_path = "no such schema";
\if :has17
ALTER DATABASE naive SET event_triggers = off;
ALTER DATABASE naive SET transaction_timeout = '100ms';
\endif

