CREATE TABLE `attachments` (
	`object_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`uploader_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`name` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`mime_type` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`size_bytes` bigint NOT NULL,
	`created_at` bigint NOT NULL,
	CONSTRAINT `attachments_object_key` PRIMARY KEY(`object_key`)
);
--> statement-breakpoint
CREATE TABLE `audit_log` (
	`audit_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`actor_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`action` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`target_kind` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`target_id` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`detail` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`created_at` bigint NOT NULL,
	CONSTRAINT `audit_log_audit_id` PRIMARY KEY(`audit_id`)
);
--> statement-breakpoint
CREATE TABLE `blocks` (
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`blocked_user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	CONSTRAINT `blocks_user_id_blocked_user_id_pk` PRIMARY KEY(`user_id`,`blocked_user_id`)
);
--> statement-breakpoint
CREATE TABLE `conversation_members` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`role` tinyint NOT NULL DEFAULT 1,
	`joined_at` bigint NOT NULL,
	`muted_until` bigint,
	`removed_at` bigint,
	`muted` tinyint NOT NULL DEFAULT 0,
	`pinned` tinyint NOT NULL DEFAULT 0,
	`log_id` bigint NOT NULL DEFAULT 0,
	CONSTRAINT `conversation_members_conversation_id_user_id_pk` PRIMARY KEY(`conversation_id`,`user_id`)
);
--> statement-breakpoint
CREATE TABLE `conversations` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`type` tinyint NOT NULL,
	`name` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`avatar_url` varchar(2048) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`announcement` varchar(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`owner_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`member_count` int NOT NULL DEFAULT 0,
	`max_members` int NOT NULL,
	`join_approval` tinyint NOT NULL DEFAULT 0,
	`mute_all` tinyint NOT NULL DEFAULT 0,
	`head_seq_id` bigint NOT NULL DEFAULT 0,
	`version` bigint NOT NULL DEFAULT 0,
	`last_activity_at` bigint NOT NULL,
	`created_at` bigint NOT NULL,
	`updated_at` bigint NOT NULL,
	`dismissed_at` bigint,
	`log_id` bigint NOT NULL DEFAULT 0,
	CONSTRAINT `conversations_conversation_id` PRIMARY KEY(`conversation_id`)
);
--> statement-breakpoint
CREATE TABLE `dead_letters` (
	`letter_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`queue` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`message_id` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`body` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`attempts` int NOT NULL DEFAULT 1,
	`error` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`created_at` bigint NOT NULL,
	`replayed_at` bigint,
	CONSTRAINT `dead_letters_letter_id` PRIMARY KEY(`letter_id`),
	CONSTRAINT `dead_letters_message` UNIQUE(`message_id`)
);
--> statement-breakpoint
CREATE TABLE `friendship_requests` (
	`request_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`requester_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`target_user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`message` varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`status` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`pair_key` varchar(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`pending_key` varchar(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`suppressed` tinyint NOT NULL DEFAULT 0,
	`op_id` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	`updated_at` bigint NOT NULL,
	CONSTRAINT `friendship_requests_request_id` PRIMARY KEY(`request_id`),
	CONSTRAINT `friendship_requests_pending` UNIQUE(`pending_key`)
);
--> statement-breakpoint
CREATE TABLE `friendships` (
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`friend_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	CONSTRAINT `friendships_user_id_friend_id_pk` PRIMARY KEY(`user_id`,`friend_id`)
);
--> statement-breakpoint
CREATE TABLE `invites` (
	`code` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_by` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	`expires_at` bigint NOT NULL,
	`max_uses` int,
	`uses` int NOT NULL DEFAULT 0,
	`revoked_at` bigint,
	`log_id` bigint NOT NULL DEFAULT 0,
	CONSTRAINT `invites_code` PRIMARY KEY(`code`)
);
--> statement-breakpoint
CREATE TABLE `join_requests` (
	`request_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`status` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`decided_by` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`created_at` bigint NOT NULL,
	`updated_at` bigint NOT NULL,
	`log_id` bigint NOT NULL DEFAULT 0,
	CONSTRAINT `join_requests_request_id` PRIMARY KEY(`request_id`)
);
--> statement-breakpoint
CREATE TABLE `message_edits` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`message_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`log_id` bigint NOT NULL,
	`content` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`edited_at` bigint NOT NULL,
	CONSTRAINT `message_edits_conversation_id_message_id_log_id_pk` PRIMARY KEY(`conversation_id`,`message_id`,`log_id`)
);
--> statement-breakpoint
CREATE TABLE `message_reactions` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`message_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`emoji` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	`removed_at` bigint,
	`log_id` bigint NOT NULL,
	CONSTRAINT `message_reactions_conversation_id_message_id_emoji_user_id_pk` PRIMARY KEY(`conversation_id`,`message_id`,`emoji`,`user_id`)
);
--> statement-breakpoint
CREATE TABLE `messages` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`seq_id` bigint NOT NULL,
	`message_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`sender_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`client_msg_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`message_type` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`content` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`reply_to` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`mentions` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`created_at` bigint NOT NULL,
	`edited_at` bigint,
	`recalled_at` bigint,
	`log_id` bigint NOT NULL,
	CONSTRAINT `messages_conversation_id_seq_id_pk` PRIMARY KEY(`conversation_id`,`seq_id`)
);
--> statement-breakpoint
CREATE TABLE `outbox_events` (
	`event_id` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`owner_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`topic` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`event_key` varchar(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`body` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`created_at` bigint NOT NULL,
	CONSTRAINT `outbox_events_event_id` PRIMARY KEY(`event_id`)
);
--> statement-breakpoint
CREATE TABLE `user_read_pointers` (
	`conversation_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`read_seq_id` bigint NOT NULL,
	`updated_at` bigint NOT NULL,
	`log_id` bigint NOT NULL DEFAULT 0,
	CONSTRAINT `user_read_pointers_conversation_id_user_id_pk` PRIMARY KEY(`conversation_id`,`user_id`)
);
--> statement-breakpoint
CREATE TABLE `users` (
	`user_id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`username` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`username_lower` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`email` varchar(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`email_lower` varchar(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`password_hash` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`display_name` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`display_name_lower` varchar(192) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`avatar_url` varchar(2048) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`bio` varchar(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	`is_guest` tinyint NOT NULL DEFAULT 0,
	`role` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'user',
	`banned_at` bigint,
	`last_seen_at` bigint,
	`created_at` bigint NOT NULL,
	`updated_at` bigint NOT NULL,
	CONSTRAINT `users_user_id` PRIMARY KEY(`user_id`),
	CONSTRAINT `users_username_lower` UNIQUE(`username_lower`),
	CONSTRAINT `users_email_lower` UNIQUE(`email_lower`)
);
--> statement-breakpoint
CREATE INDEX `attachments_conversation` ON `attachments` (`conversation_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `audit_log_target` ON `audit_log` (`target_kind`,`target_id`,`audit_id`);--> statement-breakpoint
CREATE INDEX `blocks_blocked` ON `blocks` (`blocked_user_id`);--> statement-breakpoint
CREATE INDEX `conversation_members_user` ON `conversation_members` (`user_id`,`removed_at`,`pinned`,`conversation_id`);--> statement-breakpoint
CREATE INDEX `dead_letters_open` ON `dead_letters` (`replayed_at`,`letter_id`);--> statement-breakpoint
CREATE INDEX `friendship_requests_pair` ON `friendship_requests` (`pair_key`);--> statement-breakpoint
CREATE INDEX `friendship_requests_target` ON `friendship_requests` (`target_user_id`,`status`,`request_id`);--> statement-breakpoint
CREATE INDEX `friendship_requests_requester` ON `friendship_requests` (`requester_id`,`status`,`request_id`);--> statement-breakpoint
CREATE INDEX `invites_conversation` ON `invites` (`conversation_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `join_requests_conversation` ON `join_requests` (`conversation_id`,`status`,`request_id`);--> statement-breakpoint
CREATE INDEX `outbox_events_owner` ON `outbox_events` (`owner_id`,`event_id`);--> statement-breakpoint
CREATE INDEX `users_display_name_lower` ON `users` (`display_name_lower`,`username_lower`);