-- A database with the extension `ward` and what its users put into it.
CREATE SCHEMA "w ard"; CREATE EXTENSION ward SCHEMA "w ard";
INSERT INTO "w ard".setting VALUES ('mine', 'x'), (E'tab\t\\', 'tab'), ('zz', 'watched');
INSERT INTO "w ard".history (what) SELECT md5(g::text) FROM generate_series(1, 50) g; DELETE FROM "w ard".history WHERE id % 7 = 0;
SELECT setval('"w ard".counter', 4711);
INSERT INTO "w ard"."odd ""one"" ü" VALUES (1, 'eins'), (2, NULL); INSERT INTO "w ard".parted VALUES (1, 'part');
-- A table of ours that points into one of the extension's, and a member that was added by hand.
CREATE TABLE uses (k text REFERENCES "w ard".setting (k), n int DEFAULT nextval('"w ard".counter')); INSERT INTO uses VALUES ('mine'), ('a');
CREATE TABLE adopted (a int); INSERT INTO adopted VALUES (1); ALTER EXTENSION ward ADD TABLE adopted;
GRANT SELECT ON "w ard".fixed TO app; COMMENT ON EXTENSION ward IS 'ours';
