/* tests/unit/storage/backup_damage.c - what is damaged in a backup's folder is found, healed by the next
 * run where the store has it still, and hides nothing else. */
#include "tests/unit/storage/backup_scene.h"

static void damage_is_found_and_healed(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	const char *why = "";
	char state_dir[64];
	scene_begin(&scene);
	folder_make(state_dir, "backup");
	append(&scene.bed, 1, 300000);
	backup(&scene);
	append(&scene.bed, 2, 300000);
	backup(&scene);
	flip(&scene, "blobs-1", 5000);
	assert_int_equal(try_restore(scene.folder, state_dir, false, false, &counts, &why),
			 ERR_DAMAGED);
	assert_non_null(strstr(why, "1 of 2 messages"));
	assert_false(backup_store_is_there(state_dir));
	assert_int_equal(try_restore(scene.folder, state_dir, false, true, &counts, &why), ERR_OK);
	assert_int_equal(counts.bodies_damaged, 1);
	assert_int_equal(counts.bodies, 1);
	folder_remove(state_dir);

	/* The next run finds it, too, and has the original at hand. */
	counts = backup(&scene);
	assert_int_equal(counts.segments_renewed, 1);
	assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
	scene_end(&scene);
}

static void damage_of_what_is_not_a_body(void **state)
{
	static const char *const names[] = { "manifest", "state-", "index-", "bode-backup" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		for (size_t from_end = 1; from_end < 100; from_end += 33) {
			struct scene scene;
			struct backup_counts counts = { 0 };
			const char *why;
			char state_dir[64];
			scene_begin(&scene);
			folder_make(state_dir, "backup");
			append(&scene.bed, 1, 3000);
			backup(&scene);
			flip(&scene, names[i], from_end);
			assert_int_equal(
				try_restore(scene.folder, state_dir, false, true, &counts, &why),
				ERR_DAMAGED);
			assert_non_null(strstr(why, "is damaged"));
			assert_false(backup_store_is_there(state_dir));
			/* All but what says whose the folder is is made anew by the next run. */
			if (i < 3) {
				assert_int_equal(backup(&scene).manifest_damaged, i == 0);
				assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
			}
			folder_remove(state_dir);
			scene_end(&scene);
		}
}

/* The state before stays within reach, and so does whose backup it is. */
static void a_damaged_manifest(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	const char *why;
	char state_dir[64];
	scene_begin(&scene);
	append(&scene.bed, 1, 3000);
	backup(&scene);
	uint64_t first = bed_sum(&scene.bed);
	append(&scene.bed, 2, 300000);
	backup(&scene);
	flip(&scene, "manifest", 20);
	folder_make(state_dir, "backup");
	assert_int_equal(try_restore(scene.folder, state_dir, false, false, &counts, &why),
			 ERR_DAMAGED);
	assert_non_null(strstr(why, "--previous"));
	assert_int_equal(restored_sum(&scene, true), first);
	append(&scene.bed, 3, 3000);
	counts = backup(&scene);
	assert_true(counts.manifest_damaged);
	assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
	assert_int_equal(restored_sum(&scene, true), first);
	assert_false(backup(&scene).manifest_damaged);

	/* Both: what this store knows of the folder tells that it is its own. */
	flip(&scene, "manifest", 20);
	flip(&scene, "previous", 20);
	assert_true(backup(&scene).manifest_damaged);
	assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
	assert_false(backup(&scene).manifest_damaged);
	assert_int_equal(restored_sum(&scene, true), bed_sum(&scene.bed));

	/* Another store's stays that one's. */
	struct scene other;
	unsigned before, after;
	scene_begin(&other);
	char own[64];
	memcpy(own, other.folder, sizeof(own));
	memcpy(other.folder, scene.folder, sizeof(own));
	flip(&scene, "manifest", 20);
	flip(&scene, "previous", 20);
	folder_octets(scene.folder, &before);
	assert_int_equal(try_backup(&other, 0, &counts, &why), ERR_DAMAGED);
	assert_non_null(strstr(why, "name another folder"));
	folder_octets(scene.folder, &after);
	assert_int_equal(after, before);
	memcpy(other.folder, own, sizeof(own));
	scene_end(&other);
	folder_remove(state_dir);
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_is_found_and_healed),
		cmocka_unit_test(damage_of_what_is_not_a_body),
		cmocka_unit_test(a_damaged_manifest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
