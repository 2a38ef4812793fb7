-- Every built-in type at its limits.
CREATE SCHEMA types;
SET search_path = types, public;
SET TimeZone = 'UTC';
CREATE TABLE numbers (i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(1000, 500), f4 real, f8 double precision, m money);
INSERT INTO numbers VALUES
  (-32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08'),
  (32767, 2147483647, 9223372036854775807, repeat('9', 131072)::numeric, 1, 'Infinity', '-Infinity', '92233720368547758.07'),
  (0, 0, 0, ('0.' || repeat('0', 16382) || '1')::numeric, -1e-400, '-0', '-0', '0'),
  (1, 1, 1, 1e-1000, 0.1, 1.4e-45, 4.9406564584124654e-324, '1234.56'),
  (NULL, NULL, NULL, 1.0000, 1.10, 3.4028235e38, 1.7976931348623157e308, '-0.01'), (1, 1, 1, -0.1, 0.3, 0.1, 0.30000000000000004, '1');
SELECT current_setting('server_version_num')::int >= 140000 AS has14, current_setting('server_version_num')::int >= 170000 AS has17,
       current_setting('server_version_num')::int >= 180000 AS has18 \gset
\if :has14
INSERT INTO numbers (n) VALUES ('Infinity'), ('-Infinity');
\endif
CREATE TABLE times (d date, ts timestamp, tz timestamptz, t time, ttz timetz, i interval, p timestamp(3), it interval year to month);
INSERT INTO times VALUES
  ('infinity', 'infinity', '-infinity', '24:00:00', '24:00:00-1559', '178000000 years', 'infinity', '1 year 2 mons'),
  ('-infinity', '-infinity', 'infinity', '00:00:00', '00:00:00+1559', '-178000000 years', '-infinity', '-1 mon'),
  ('4714-11-24 BC', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', '23:59:59.999999', '23:59:59.999999+05:30:15', '-1 mon +1 day -00:00:00.000001', '0001-01-01 BC', '0'),
  ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL, '12:00:00.5-08', '2147483647 days 2562047788:00:54.775807', '0099-12-31 23:59:59.9996', NULL),
  ('0001-01-01', '1883-11-18 12:03:58', '1883-11-18 12:03:58-05', '00:00:00.000001', '00:00:00', 'P1Y2M3DT4H5M6.7S', now()::timestamp(3), NULL);
\if :has17
INSERT INTO times (i) VALUES ('infinity'), ('-infinity');
\endif
CREATE TABLE texts (id serial PRIMARY KEY, t text, c char(10), v varchar(3), "char" "char", n name, b bytea, j json, jb jsonb, x xml, u uuid);
INSERT INTO texts (t, c, v, "char", n, b, j, jb, u) VALUES
  (E'\\.', '  pad ', '   ', 'a', 'name', '\x', ' {"b" : 1,"b":2 , "a":"\u0000\ud83d\ude00"} ', '{"b":1,"b":2,"k":"\"\\\/\b\f\n\r\t\u00e9"}', '00000000-0000-0000-0000-000000000000'),
  (E'\\N', E'\\N', NULL, '\', '\N', '\x5c4e', 'null', 'null', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
  (E'a\tb\nc\rd\r\ne\bf\fg\vh\\i\\\\j\x01\x7f', '', '', '', '', E'\\x0a0d095c2e', '"\u2028"', '1e1000', NULL),
  ('', 'ä', 'äöü', E'\001', 'ä', NULL, '[]', '[[],{},"",-0.0,1.10,12345678901234567890.123456789]', NULL),
  (E'line\n\\.\nline', ' ', '1', '0', '"', '\x00', '{}', '{"":{"":{"":[]}}}', NULL),
  (E'\u200e\u202e\ufeff\uffff\U0010ffff e\u0301 \u00e9', NULL, 'a', 'Z', 'x', '\xff', '""', '"\ud83d\ude00"', NULL),
  (repeat('x', 1500000) || E'\\', NULL, NULL, NULL, NULL, decode(repeat('00ff5c0a', 300000), 'hex'), NULL, NULL, NULL),
  ('NULL', 'NULL', 'nul', 'N', 'NULL', 'NULL', NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO texts (b) SELECT string_agg(decode(lpad(to_hex(g), 2, '0'), 'hex'), '' ORDER BY g) FROM generate_series(0, 255) g;
INSERT INTO texts (t) SELECT string_agg(chr(g), '' ORDER BY g) FROM generate_series(1, 1000) g;
INSERT INTO texts ("char") SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN E'\\' || lpad(g::text, 3, '0') ELSE 'q' END::"char"
  FROM unnest(ARRAY[200, 377]) g;
SELECT EXISTS (SELECT FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%libxml%') AS xml \gset
\if :{?portable}
\set xml false
\endif
\if :xml
SET xmloption = content;
INSERT INTO texts (x) VALUES ('<a b="&lt;&#10;">text</a> trailing'), ('<?xml version="1.0" encoding="UTF-8"?><a>ä<![CDATA[ ]]&gt; ]]></a>'), ('<!-- c --><x/><y/>'), ('plain &amp; text'), ('<!DOCTYPE a [<!ELEMENT a ANY>]><a/>');
RESET xmloption;
\endif
CREATE TABLE nets (i inet, c cidr, m macaddr, m8 macaddr8);
INSERT INTO nets VALUES ('0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff:ff:ff'),
  ('::1/0', '::/0', 'ff:ff:ff:ff:ff:ff', '08:00:2b:01:02:03:04:05'), ('192.168.1.5/24', '10.1.0.0/16', '08:00:2b:01:02:03', NULL),
  ('::ffff:1.2.3.4/128', '2001:4f8:3:ba::/64', NULL, NULL);
CREATE TABLE bits (b bit(3), v bit varying, lsn pg_lsn, x xid, c cid, td tid, sn txid_snapshot);
INSERT INTO bits VALUES ('101', '', 'FFFFFFFF/FFFFFFFF', '4294967295', '4294967295', '(4294967295,65535)', '10:20:10,14,15'), ('000', repeat('10', 5000)::varbit, '0/0', '0', '0', '(0,0)', '1:1:');
CREATE TABLE shapes (p point, l line, s lseg, b box, pa path, po polygon, c circle);
INSERT INTO shapes VALUES ('(NaN,Infinity)', '{1,-0,0.1}', '[(0,0),(1e300,-1e-300)]', '((1,2),(-1,-2))', '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(0,0),0>'),
  ('(-0,4.9e-324)', '{0,-1,3}', '[(1,1),(1,1)]', '(0,0),(0,0)', '[(0,0),(1,1)]', '((0,0))', '<(0.1,0.30000000000000004),Infinity>');
CREATE TABLE search (v tsvector, q tsquery, jp jsonpath);
INSERT INTO search VALUES ('', '', '$'), ($$'a:b':1A,16383D 'it''s':2 '\\':3B$$, $$!('a b':*AB & 'it''s') | c <-> d <5> e$$, '$.**{2 to last}."a\"b" ? (@.x like_regex "^\\d" flag "i" && @.y > 1e3)');
CREATE TABLE arrays (a int[], b text[], c numeric[][], d point[], e "char"[], f json[]);
INSERT INTO arrays VALUES ('[-5:-3][7:8]={{1,NULL},{3,4},{5,6}}', ARRAY['NULL', NULL, '', '{', '"', '\', ',', E'\n', ' x '], '{}', '{"(1,2)"}', '{a,"\\"}', ARRAY['{"a":[1,"}"]}'::json]),
  ('{}', '{}', '[0:0][0:0][0:0][0:0][0:0][0:0]={{{{{{NaN}}}}}}', NULL, NULL, NULL);
CREATE TABLE ranges (i4 int4range, i8 int8range, n numrange, d daterange, ts tsrange, tz tstzrange);
INSERT INTO ranges VALUES ('empty', '(,)', '[NaN,NaN]', '[infinity,infinity]', '[-infinity,infinity)', '(,infinity]'), ('[1,1]', '[-9223372036854775808,9223372036854775807)', '(1.0,2.50]', '(,2020-01-01]', '["2000-01-01 00:00:00",)', NULL);
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE TABLE textranges (r textrange); INSERT INTO textranges VALUES (textrange('a"b', E'c,\\]', '(]')), (textrange('', NULL)), (textrange('x', 'x'));
\if :has14
CREATE TABLE multiranges (i int4multirange, n nummultirange, d datemultirange, t textmultirange);
INSERT INTO multiranges VALUES ('{}', '{(,)}', '{[infinity,]}', '{}'), ('{[1,2),[5,7)}', '{[NaN,NaN]}', NULL, '{["a,}","b"]}');
CREATE TABLE snapshots (s pg_snapshot, x xid8); INSERT INTO snapshots VALUES ('10:20:10,14,15', '18446744073709551615');
\endif
CREATE TABLE oids (o oid, v oidvector, i2 int2vector, c regclass, p regprocedure, op regoperator, t regtype, r regrole, n regnamespace, tc regconfig, td regdictionary, pr regproc, ac aclitem);
INSERT INTO oids VALUES (4294967295, '1 4294967295', '-32768 32767', 'types.numbers', 'pg_catalog.lower(text)', 'pg_catalog.+(int4,int4)', 'types.textrange[]', '"-c x"', 'types', 'pg_catalog.simple', 'simple', 'now', NULL),
  (0, '', '', '0', '0', '0', '-', '-', '-', '0', '0', '-', NULL), (1, '', '', '3999999999', '3999999999', '3999999999', '3999999999', '3999999999', '3999999999', NULL, NULL, '3999999999', NULL);
RESET search_path; RESET TimeZone;
