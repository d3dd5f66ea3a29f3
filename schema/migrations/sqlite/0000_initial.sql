CREATE TABLE `attachments` (
	`object_key` text PRIMARY KEY NOT NULL,
	`conversation_id` text NOT NULL,
	`uploader_id` text NOT NULL,
	`name` text NOT NULL,
	`mime_type` text NOT NULL,
	`size_bytes` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `attachments_conversation` ON `attachments` (`conversation_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `audit_log` (
	`audit_id` text PRIMARY KEY NOT NULL,
	`actor_id` text NOT NULL,
	`action` text NOT NULL,
	`target_kind` text NOT NULL,
	`target_id` text NOT NULL,
	`detail` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_log_target` ON `audit_log` (`target_kind`,`target_id`,`audit_id`);--> statement-breakpoint
CREATE TABLE `blocks` (
	`user_id` text NOT NULL,
	`blocked_user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`user_id`, `blocked_user_id`)
);
--> statement-breakpoint
CREATE INDEX `blocks_blocked` ON `blocks` (`blocked_user_id`);--> statement-breakpoint
CREATE TABLE `conversation_members` (
	`conversation_id` text NOT NULL,
	`user_id` text NOT NULL,
	`role` integer DEFAULT 1 NOT NULL,
	`joined_at` integer NOT NULL,
	`muted_until` integer,
	`removed_at` integer,
	`muted` integer DEFAULT 0 NOT NULL,
	`pinned` integer DEFAULT 0 NOT NULL,
	`log_id` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`conversation_id`, `user_id`)
);
--> statement-breakpoint
CREATE INDEX `conversation_members_user` ON `conversation_members` (`user_id`,`removed_at`,`pinned`,`conversation_id`);--> statement-breakpoint
CREATE TABLE `conversations` (
	`conversation_id` text PRIMARY KEY NOT NULL,
	`type` integer NOT NULL,
	`name` text,
	`avatar_url` text,
	`announcement` text,
	`owner_id` text,
	`member_count` integer DEFAULT 0 NOT NULL,
	`max_members` integer NOT NULL,
	`join_approval` integer DEFAULT 0 NOT NULL,
	`mute_all` integer DEFAULT 0 NOT NULL,
	`head_seq_id` integer DEFAULT 0 NOT NULL,
	`version` integer DEFAULT 0 NOT NULL,
	`last_activity_at` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`dismissed_at` integer,
	`log_id` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `dead_letters` (
	`letter_id` text PRIMARY KEY NOT NULL,
	`queue` text NOT NULL,
	`message_id` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL,
	`replayed_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `dead_letters_message` ON `dead_letters` (`message_id`);--> statement-breakpoint
CREATE INDEX `dead_letters_open` ON `dead_letters` (`replayed_at`,`letter_id`);--> statement-breakpoint
CREATE TABLE `friendship_requests` (
	`request_id` text PRIMARY KEY NOT NULL,
	`requester_id` text NOT NULL,
	`target_user_id` text NOT NULL,
	`message` text,
	`status` text NOT NULL,
	`pair_key` text NOT NULL,
	`pending_key` text,
	`suppressed` integer DEFAULT 0 NOT NULL,
	`op_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `friendship_requests_pending` ON `friendship_requests` (`pending_key`);--> statement-breakpoint
CREATE INDEX `friendship_requests_pair` ON `friendship_requests` (`pair_key`);--> statement-breakpoint
CREATE INDEX `friendship_requests_target` ON `friendship_requests` (`target_user_id`,`status`,`request_id`);--> statement-breakpoint
CREATE INDEX `friendship_requests_requester` ON `friendship_requests` (`requester_id`,`status`,`request_id`);--> statement-breakpoint
CREATE TABLE `friendships` (
	`user_id` text NOT NULL,
	`friend_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`user_id`, `friend_id`)
);
--> statement-breakpoint
CREATE TABLE `invites` (
	`code` text PRIMARY KEY NOT NULL,
	`conversation_id` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`max_uses` integer,
	`uses` integer DEFAULT 0 NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE INDEX `invites_conversation` ON `invites` (`conversation_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `join_requests` (
	`request_id` text PRIMARY KEY NOT NULL,
	`conversation_id` text NOT NULL,
	`user_id` text NOT NULL,
	`message` text,
	`status` text NOT NULL,
	`pending_key` text,
	`op_id` text NOT NULL,
	`decided_by` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `join_requests_pending` ON `join_requests` (`pending_key`);--> statement-breakpoint
CREATE INDEX `join_requests_conversation` ON `join_requests` (`conversation_id`,`status`,`request_id`);--> statement-breakpoint
CREATE TABLE `message_edits` (
	`conversation_id` text NOT NULL,
	`message_id` text NOT NULL,
	`log_id` integer NOT NULL,
	`content` text NOT NULL,
	`edited_at` integer NOT NULL,
	PRIMARY KEY(`conversation_id`, `message_id`, `log_id`)
);
--> statement-breakpoint
CREATE TABLE `message_reactions` (
	`conversation_id` text NOT NULL,
	`message_id` text NOT NULL,
	`user_id` text NOT NULL,
	`emoji` text NOT NULL,
	`created_at` integer NOT NULL,
	`removed_at` integer,
	`log_id` integer NOT NULL,
	PRIMARY KEY(`conversation_id`, `message_id`, `emoji`, `user_id`)
);
--> statement-breakpoint
CREATE TABLE `messages` (
	`conversation_id` text NOT NULL,
	`seq_id` integer NOT NULL,
	`message_id` text NOT NULL,
	`sender_id` text NOT NULL,
	`client_msg_id` text,
	`message_type` text NOT NULL,
	`content` text,
	`reply_to` text,
	`mentions` text,
	`created_at` integer NOT NULL,
	`edited_at` integer,
	`recalled_at` integer,
	`log_id` integer NOT NULL,
	PRIMARY KEY(`conversation_id`, `seq_id`)
);
--> statement-breakpoint
CREATE TABLE `outbox_events` (
	`event_id` text PRIMARY KEY NOT NULL,
	`owner_id` text NOT NULL,
	`topic` text NOT NULL,
	`event_key` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_events_owner` ON `outbox_events` (`owner_id`,`event_id`);--> statement-breakpoint
CREATE TABLE `user_read_pointers` (
	`conversation_id` text NOT NULL,
	`user_id` text NOT NULL,
	`read_seq_id` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`log_id` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`conversation_id`, `user_id`)
);
--> statement-breakpoint
CREATE TABLE `users` (
	`user_id` text PRIMARY KEY NOT NULL,
	`username` text NOT NULL,
	`username_lower` text NOT NULL,
	`email` text,
	`email_lower` text,
	`password_hash` text,
	`display_name` text NOT NULL,
	`display_name_lower` text NOT NULL,
	`avatar_url` text,
	`bio` text,
	`is_guest` integer DEFAULT 0 NOT NULL,
	`role` text DEFAULT 'user' NOT NULL,
	`banned_at` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_username_lower` ON `users` (`username_lower`);--> statement-breakpoint
CREATE UNIQUE INDEX `users_email_lower` ON `users` (`email_lower`);--> statement-breakpoint
CREATE INDEX `users_display_name_lower` ON `users` (`display_name_lower`,`username_lower`);