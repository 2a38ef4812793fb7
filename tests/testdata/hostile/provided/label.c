/* Two providers of security labels that take every label. Declared by hand: servers are installed without their headers.
   cc -shared -fPIC -DMAJOR=15 -o label.so label.c */
typedef unsigned int Oid;
typedef struct {
  Oid class_id, object_id;
  int sub_id;
} ObjectAddress;
extern void register_label_provider(const char *name, void (*check)(const ObjectAddress *object, const char *label));

typedef struct {
  int version, max_args, max_keys, name_length, float8_by_value;
  char extra[32];
} Abi;
typedef struct {
  int length;
  Abi abi;
#if MAJOR >= 18
  const char *name, *version;
#endif
} Magic;

const Magic *Pg_magic_func(void) {
  static const Magic magic = {sizeof(Magic), {MAJOR * 100, 100, 32, 64, 1, "PostgreSQL"}};
  return &magic;
}

static void any(const ObjectAddress *object, const char *label) {
  (void)object;
  (void)label;
}

void _PG_init(void) {
  register_label_provider("role", any);
  register_label_provider("odd; \"label\"", any);
}
