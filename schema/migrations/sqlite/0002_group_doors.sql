ALTER TABLE `invites` ADD `log_id` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `join_requests` ADD `log_id` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
DROP INDEX `join_requests_pending`;--> statement-breakpoint
ALTER TABLE `join_requests` DROP COLUMN `message`;--> statement-breakpoint
ALTER TABLE `join_requests` DROP COLUMN `pending_key`;--> statement-breakpoint
ALTER TABLE `join_requests` DROP COLUMN `op_id`;