/* base/number.c */
#include "core_case.h"

#include <math.h>

static double from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static void assert_float(double value, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    assert_int_equal(es_float_format(&out, value), 0);
    assert_string_equal(es_buf_str(&out), text);
}

/* Texts made with Python's repr(), which gives the shortest that reads back. */
static void floats_are_written_as_python_writes_them(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {0x0000000000000000U, "0.0"},
        {0x8000000000000000U, "-0.0"},
        {0x3ff0000000000000U, "1.0"},
        {0xbff0000000000000U, "-1.0"},
        {0x3fb999999999999aU, "0.1"},
        {0x3fc999999999999aU, "0.2"},
        {0x3fd3333333333333U, "0.3"},
        {0x3fd5555555555555U, "0.3333333333333333"},
        {0x3fe5555555555555U, "0.6666666666666666"},
        {0x4059000000000000U, "100.0"},
        {0x430c6bf526340000U, "1000000000000000.0"},
        {0x4341c37937e08000U, "1e+16"},
        {0x4376345785d8a000U, "1e+17"},
        {0x4341c37937e07fffU, "9999999999999998.0"},
        {0x437b69b4ba630f35U, "1.2345678901234568e+17"},
        {0x3f1a36e2eb1c432dU, "0.0001"},
        {0x3ee4f8b588e368f1U, "1e-05"},
        {0x3f202e4b6ce5dc68U, "0.00012345"},
        {0x3f1a36d1bd105b06U, "9.9999e-05"},
        {0x0000000000000001U, "5e-324"},
        {0x0010000000000000U, "2.2250738585072014e-308"},
        {0x000fffffffffffffU, "2.225073858507201e-308"},
        {0x7fefffffffffffffU, "1.7976931348623157e+308"},
        {0x4340000000000000U, "9007199254740992.0"},
        {0x4340000000000001U, "9007199254740994.0"},
        {0x3d30000000000000U, "5.684341886080802e-14"},
        {0x0000000000000001U, "5e-324"},
        {0x444b1ae4d6e2ef50U, "1e+21"},
        {0x4480f0cf064dd592U, "1e+22"},
        {0x44b52d02c7e14af6U, "1e+23"},
        {0x54b249ad2594c37dU, "1e+100"},
        {0x2b2bff2ee48e0530U, "1e-100"},
        {0x400921fb54442d18U, "3.141592653589793"},
        {0x4004000000000000U, "2.5"},
        {0x40934a456d5cfaadU, "1234.5678"},
        {0x4345ee2a2eb5a5c4U, "1.2345678901234568e+16"},
        {0x4011666666666666U, "4.35"},
        {0x3fd3333333333334U, "0.30000000000000004"},
        {0x7fe1ccf385ebc8a0U, "1e+308"},
        {0x3eb0000000000000U, "9.5367431640625e-07"},
        {0x43b0000000000000U, "1.152921504606847e+18"},
        {0x3c30000000000000U, "8.673617379884035e-19"},
        {0x3d30000000000000U, "5.684341886080802e-14"},
        {0x0000000000000010U, "8e-323"},
        {0x0300000000000000U, "3.13151306251402e-294"},
        {0x08f0000000000000U, "1.240520129162012e-265"},
        {0x0ee0000000000000U, "4.914206519773204e-237"},
        {0x14d0000000000000U, "1.9467177638862437e-208"},
        {0x1ac0000000000000U, "7.71174356832923e-180"},
        {0x20b0000000000000U, "3.054936363499605e-151"},
        {0x26a0000000000000U, "1.210184973390412e-122"},
        {0x2c90000000000000U, "4.794036587204811e-94"},
        {0x3280000000000000U, "1.8991135491519597e-65"},
        {0x3870000000000000U, "7.52316384526264e-37"},
        {0x3e60000000000000U, "2.9802322387695312e-08"},
        {0x4450000000000000U, "1.1805916207174113e+21"},
        {0x4a40000000000000U, "4.6768052394588893e+49"},
        {0x5030000000000000U, "1.8526734277970591e+78"},
        {0x5620000000000000U, "7.339195571168229e+106"},
        {0x5c10000000000000U, "2.9073548971824276e+135"},
        {0x6200000000000000U, "1.1517219314030583e+164"},
        {0x67f0000000000000U, "4.562440617622195e+192"},
        {0x6de0000000000000U, "1.8073689335732592e+221"},
        {0x73d0000000000000U, "7.15972597961874e+249"},
        {0x79c0000000000000U, "2.83625966735417e+278"},
        {0xbe17471bd9fe68ebU, "-1.3549444691014365e-09"},
        {0x1e1f7eded2b19a9dU, "1.3673260294318681e-163"},
        {0xa63e88211cc49f26U, "-1.804153877955595e-124"},
        {0xbe1024f7efa77568U, "-9.397282384684098e-10"},
        {0x9030249cc83eec47U, "-1.0397957606246265e-230"},
        {0x51dc24d3f3174f23U, "2.186967982752104e+86"},
        {0xc67be7878cce0458U, "-3.537304472113865e+31"},
        {0xf987726e314c51d9U, "-2.59772512242191e+277"},
        {0x3d2d64902744f05fU, "5.2212145018617033e-14"},
        {0xe3a4bab29cd32789U, "-1.0013638870140476e+172"},
        {0xa51a3f059e6ed4f2U, "-5.9162698731606906e-130"},
        {0x6feb835c80261e4cU, "1.3348322627017311e+231"},
        {0x67d4b172c4f5eb19U, "1.475176597610627e+192"},
        {0xc590b0b013f30f50U, "-1.291340651474281e+27"},
        {0x4d603c4de3ea01f2U, "5.343138749769014e+64"},
        {0x0b335a692f69ef90U, "1.031135484088752e-254"},
        {0xeb3d489a857e7059U, "-3.760638593022492e+208"},
        {0x74a32d871514bf72U, "7.030174554754675e+253"},
        {0xb85e4b12a04a7c2cU, "-3.560954772520088e-37"},
        {0x8f26961840f9e722U, "-1.1099377998601026e-235"},
        {0x2865c581892d1e29U, "4.420385642621909e-114"},
        {0xbc2464e4a5e02460U, "-5.527835646596746e-19"},
        {0x70747d83ad4d0f68U, "5.089847470098235e+233"},
        {0x31e324568b87935fU, "2.2187944454229348e-68"},
        {0x2e9c729b88a37fc8U, "3.66090251798021e-84"},
        {0x958aebdc43fb0e8fU, "-6.708253545427333e-205"},
        {0xfeec85496bbb2502U, "-2.444809890574186e+303"},
        {0x2bef845ef9811b0eU, "4.6110231575270163e-97"},
        {0x698b1a926005d577U, "2.593326834223237e+200"},
        {0xacad4f321990c680U, "-1.7563766952742956e-93"},
        {0x972a42e6219ae459U, "-4.3914654170410786e-197"},
        {0xd6e92ed7d91a3bd4U, "-4.7314642741987266e+110"},
        {0x5c8386ca9928c32fU, "4.541643954812669e+137"},
        {0xce0c3be0e2efc20bU, "-9.5148055602107e+67"},
        {0x7cc6c92043ad3807U, "1.136912897127557e+293"},
        {0xbd285212cccb56c9U, "-4.320206302014322e-14"},
        {0xd7f473c316b745a7U, "-5.036609603087076e+115"},
        {0x451baf924a87432cU, "8.367527464766719e+24"},
        {0xcaa7c005d79922aeU, "-4.442981653962971e+51"},
        {0x87e01359a7328416U, "-9.509129023046164e-271"},
        {0x7a8968058db39b61U, "1.8447094404713674e+282"},
        {0xef17c84b73f36ea4U, "-1.408485730295766e+227"},
        {0x689b66f983070948U, "8.001351325041577e+195"},
        {0x6fd7420962894326U, "5.6419370340271e+230"},
        {0xd8a29e90e46193c1U, "-9.390613123469958e+118"},
        {0x0df27db37141d3dcU, "1.7331826728578726e-241"},
        {0x7c6b794167ad167aU, "2.1419151017227147e+291"},
        {0xb76a28c51bb7e0ffU, "-9.384173452753309e-42"},
        {0xb554c292c14356feU, "-8.669802162127696e-52"},
        {0x76b45afc48894f39U, "6.4096765869095e+263"},
        {0x0f9e36d173363fe5U, "1.9005246925994696e-233"},
        {0x7ba72ac6143363f6U, "4.4095804201349244e+287"},
        {0xc3f464a54c3552dbU, "-2.351169800256551e+19"},
        {0x8e1a4dd9e85a2de1U, "-9.862046086311534e-241"},
        {0x23e5eed114b22dcaU, "9.429910776350362e-136"},
        {0x3e76a4ca4f95a99fU, "8.435440070555954e-08"},
        {0xf84145453b35e7c8U, "-1.8247913994847593e+271"},
        {0x585dbedbc6e0559bU, "4.688135967720644e+117"},
        {0x141003f020631044U, "4.75729830510248e-212"},
        {0xeb2bfdc2da903d7dU, "-1.7973364579179626e+208"},
        {0xc107e488f5c28f5cU, "-195729.12"},
        {0xc129f6107bda511aU, "-850696.2419"},
        {0xc1260efc00000000U, "-722814.0"},
        {0x410e6b2f33333333U, "249189.9"},
        {0x4128bec561c04428U, "810850.69092"},
        {0x41154540d84230fdU, "348496.21119"},
        {0xc126f9b800000000U, "-752860.0"},
        {0x4128c660c62cba73U, "811824.38706"},
        {0x40e62f4ccccccccdU, "45434.4"},
        {0xc124148a00000000U, "-657989.0"},
        {0x410f3259fe0ded29U, "255563.24905"},
        {0xc1279e5778c2a455U, "-773931.73586"},
        {0xc12d77ae00000000U, "-965591.0"},
        {0x412902ccb48ecd8eU, "819558.352652"},
        {0x412876f1522d0e56U, "801656.6605"},
        {0xc117d921de69ad43U, "-390728.4672"},
        {0x40f1c96333333333U, "72854.2"},
        {0xc100f05ca3d70a3dU, "-138763.58"},
        {0xc11c805800000000U, "-466966.0"},
        {0xc11595a32d916873U, "-353640.7945"},
        {0xc1265a0f00000000U, "-732423.5"},
        {0xc0e0b55b7e7c06e2U, "-34218.85919"},
        {0x4103e79c00000000U, "163059.5"},
        {0xc0f9e0a90eebf65eU, "-105994.566143"},
        {0xc11821af9999999aU, "-395371.9"},
        {0x411a745070a3d70aU, "433428.11"},
        {0xc125e9d61eb851ecU, "-718059.06"},
        {0xc11d4c5d8f5c28f6U, "-480023.39"},
        {0x4125b13e474384baU, "710815.139187"},
        {0x41126367147ae148U, "301273.77"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_float(from_bits(cases[i].bits), cases[i].text);
}

static void what_is_no_finite_number_has_a_name(void **state)
{
    (void)state;
    assert_float(strtod("nan", NULL), "nan");
    assert_float(HUGE_VAL, "inf");
    assert_float(-HUGE_VAL, "-inf");
}

/* The next of a fixed sequence that visits all 64 bits. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

static size_t digits_of(const char *text)
{
    size_t n = 0, zeros = 0;
    bool leading = true;

    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (leading && *text == '0'))
            continue;
        leading = false;
        n++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void any_float_reads_back_to_the_same_bits_and_no_shorter_text_does(void **state)
{
    uint64_t seed = 0x2026010203040506;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        double value = from_bits(next_random(&seed)), back = 0;
        char shorter[40];
        size_t n;

        if (!isfinite(value))
            continue;
        assert_int_equal(es_float_format(&out, value), 0);
        assert_true(es_float_parse(&out, &back));
        assert_memory_equal(&value, &back, sizeof value);
        assert_non_null(strpbrk(out.data, ".e"));
        n = digits_of(out.data);
        if (n < 2)
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", (int)n - 2, value);
        assert_true(strtod(shorter, NULL) != value);
    }
}

static void integers_are_written_and_read_to_both_ends(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-1, "-1"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        int64_t back = 4711;

        assert_int_equal(es_integer_format(&out, cases[i].number), 0);
        assert_string_equal(out.data, cases[i].text);
        assert_true(es_integer_parse(out.data, out.len, &back));
        assert_int_equal(back, cases[i].number);
    }
}

static void what_is_no_integer_or_does_not_fit_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "+",
        " 1",
        "1 ",
        "1.0",
        "0x10",
        "1e3",
        "--1",
        "+-1",
        "1_0",
        "a",
        "9223372036854775808",
        "-9223372036854775809",
        "1\n",
        "1\v2",
        "\t1",
        "٣",
        "1,0",
        "18446744073709551616",
        "99999999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t number = 4711;

        assert_false(es_integer_parse(bad[i], strlen(bad[i]), &number));
        assert_int_equal(number, 4711);
    }
    assert_false(es_integer_parse("1\0", 2, &(int64_t){0}));
}

static void a_plus_and_leading_zeros_are_an_integer(void **state)
{
    int64_t number;

    (void)state;
    assert_true(es_integer_parse("+7", 2, &number));
    assert_int_equal(number, 7);
    assert_true(es_integer_parse("-0007", 5, &number));
    assert_int_equal(number, -7);
}

static void what_is_no_decimal_float_is_refused(void **state)
{
    static const char *const bad[] = {
        "",    "nan", "inf", "-inf", "infinity", "0x1p3", "1.",   ".5",    "1e",
        "1e+", " 1",  "1 ",  "1,5",  "1.5f",     "1e400", "1..5", "+-1.0", "-1e999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct es_buf text = {.data = (char *)bad[i], .len = strlen(bad[i])};
        double number = 4711;

        assert_false(es_float_parse(&text, &number));
        assert_true(number == 4711);
    }
    assert_false(es_float_parse(&(struct es_buf){.data = (char *)"1\0", .len = 2}, &(double){0}));
    assert_false(es_float_parse(&(struct es_buf){0}, &(double){0}));
}

static void only_the_given_bytes_are_read(void **state)
{
    int64_t integer;

    (void)state;
    assert_true(es_integer_parse("123", 2, &integer));
    assert_int_equal(integer, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_written_as_python_writes_them),
        cmocka_unit_test(what_is_no_finite_number_has_a_name),
        cmocka_unit_test(any_float_reads_back_to_the_same_bits_and_no_shorter_text_does),
        cmocka_unit_test(integers_are_written_and_read_to_both_ends),
        cmocka_unit_test(what_is_no_integer_or_does_not_fit_is_refused),
        cmocka_unit_test(a_plus_and_leading_zeros_are_an_integer),
        cmocka_unit_test(what_is_no_decimal_float_is_refused),
        cmocka_unit_test(only_the_given_bytes_are_read),
    };

    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
