-- oldest program: 12
-- When a key was last the one that everything new is written with, and when it
-- was retired, 0 for neither; under which key a credential holds MACs of what a
-- person knows; and which programs a step lets work on.
ALTER TABLE key_check ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE key_check ADD COLUMN retired_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credential ADD COLUMN mac_key TEXT NOT NULL DEFAULT '';
ALTER TABLE stepgate_migration ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;
