-- An extension whose tables hold rows of its own and rows of its users.
CREATE TABLE setting (k text PRIMARY KEY, v text, own boolean NOT NULL DEFAULT true);
INSERT INTO setting VALUES ('a', 'from the script', false), ('b', 'from the script', false), ('it''s', 'from the script', false);
SELECT pg_extension_config_dump('setting', $$WHERE own AND k <> 'it''s' AND v NOT LIKE E'%\\\\'$$);
CREATE TABLE history (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text, n int GENERATED ALWAYS AS (length(what)) STORED);
SELECT pg_extension_config_dump('history', '');
CREATE SEQUENCE counter;
SELECT pg_extension_config_dump('counter', '');
CREATE TABLE "odd ""one"" ü" (a int, "b c" text);
INSERT INTO "odd ""one"" ü" VALUES (0, 'from the script');
SELECT pg_extension_config_dump('"odd ""one"" ü"', 'WHERE a > 0 ORDER BY a DESC');
CREATE TABLE parted (a int, b text) PARTITION BY LIST (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT pg_extension_config_dump('parted_1', '');
-- Its rows are nobody's but the script's.
CREATE TABLE fixed (a int);
INSERT INTO fixed VALUES (1), (2);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v || '!'; RETURN NEW; END $$;
CREATE TRIGGER watched BEFORE INSERT ON setting FOR EACH ROW WHEN (NEW.v = 'watch me') EXECUTE FUNCTION watch();
