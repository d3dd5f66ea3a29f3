-- For Vitess alone, in the keyspace of the accounts: vtgate keeps it (vschema.json, "members_by_user") and asks it which shards a
-- user's conversations are in. On a single MySQL the index conversation_members_user does the same, and this table is not made.
CREATE TABLE `conversation_members_by_user` (
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`keyspace_id` varbinary(10) NOT NULL,
	CONSTRAINT `conversation_members_by_user_pk` PRIMARY KEY(`user_id`,`conversation_id`)
);
