/* Sums over each tile of RIM_CELLS x RIM_CELLS cells near clipped ones, from which the colour of clipped light is told
   (highlights.py). Of cells without clipped samples, with the balanced light c of mean b, values below black as 0:

     0..2 sum b c    3 sum b^2    4..6 sum b^3 c    7 sum b^4    8 sum b^2 |c|^2
     9               1 where a cell is not clipped in all channels, else 0
     10..12 sum b c    13 sum b^2    14..16 sum c    17 count    18 sum |c|^2    of the rim: RIM cell from a clipped one
     19..27          as 10..18, of the ground: NEAREST to FARTHEST cells from the next clipped one

   Only tiles that are marked (develop_bin) or next to a marked one have sums; others are 0, with 1 in channel 9. */

#define RIM 1
#define NEAREST 4
#define FARTHEST 6
#define MAP (RIM_CELLS + 2 * FARTHEST) /* cells around a tile that are looked at, at most 32 */

/* The cells up to `reach` from those of a map, bit x of row y, in row y. */
inline uint reached(const uint *map, int y, int reach)
{
    uint all = 0;
    for (int j = max(y - reach, 0); j <= min(y + reach, MAP - 1); j++)
        all |= map[j];
    for (int i = 0; i < reach; i++)
        all |= (all << 1) | (all >> 1);
    return all;
}

/* Whether a sample of the cell (x, y) starts to clip, beyond the picture's edge the nearest one of its colour;
   cells outside the picture do not. */
inline bool starts_to_clip(__global const VALUE *values, int width, int height, float4 black, float4 inverse,
                           float start, int x, int y)
{
    if (x < 0 || y < 0 || 2 * x >= width || 2 * y >= height)
        return false;
    int right = nearest_sample(2 * x + 1, width);
    size_t above = (size_t)(2 * y) * width, below = (size_t)nearest_sample(2 * y + 1, height) * width;
    float4 cell = (float4)(convert_float(values[above + 2 * x]), convert_float(values[above + right]),
                           convert_float(values[below + 2 * x]), convert_float(values[below + right]));
    return largest_of((cell - black) * inverse) > start;
}

inline void add_cell(float4 *first, float4 *second, float *square, float3 light, float mean)
{
    *first += (float4)(mean * light, mean * mean);
    *second += (float4)(light, 1.0f);
    *square += dot(light, light);
}

__kernel void develop_rims(__global const VALUE *values, __global const uchar *marks, __global float *sums, int width,
                           int height, int red, float4 black, float4 inverse, float16 colour)
{
    int tx = get_global_id(0), ty = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    int columns = (half_width + RIM_CELLS - 1) / RIM_CELLS, rows = (half_height + RIM_CELLS - 1) / RIM_CELLS;
    if (tx >= columns || ty >= rows)
        return;
    bool is_near = false;
    for (int j = max(ty - 1, 0); j <= min(ty + 1, rows - 1); j++)
        for (int i = max(tx - 1, 0); i <= min(tx + 1, columns - 1); i++)
            is_near = is_near || marks[(size_t)j * columns + i];
    float4 rim = 0.0f, rim_light = 0.0f, ground = 0.0f, ground_light = 0.0f;
    float4 all = 0.0f, all_squares = 0.0f;
    float all_spread = 0.0f;
    float rim_square = 0.0f, ground_square = 0.0f, is_open = is_near ? 0.0f : 1.0f;
    uint map[MAP];
    if (is_near)
        for (int j = 0; j < MAP; j++) {
            map[j] = 0;
            for (int i = 0; i < MAP; i++)
                if (starts_to_clip(values, width, height, black, inverse, colour.s3, tx * RIM_CELLS - FARTHEST + i,
                                   ty * RIM_CELLS - FARTHEST + j))
                    map[j] |= 1u << i;
        }
    for (int y = ty * RIM_CELLS; is_near && y < min((ty + 1) * RIM_CELLS, half_height); y++) {
        int row = y - ty * RIM_CELLS + FARTHEST;
        uint in_rim = reached(map, row, RIM), in_ground = reached(map, row, FARTHEST) & ~reached(map, row, NEAREST - 1);
        for (int x = tx * RIM_CELLS; x < min((tx + 1) * RIM_CELLS, half_width); x++) {
            float3 clipped;
            float mixed;
            float3 raw = raw_cell(values, width, height, red, black, inverse, colour.s3, x, y, &clipped, &mixed);
            is_open = fmin(clipped.x, fmin(clipped.y, clipped.z)) < 1.0f ? 1.0f : is_open;
            float3 light = fmax(raw, 0.0f) * colour.s012;
            float mean = (light.x + light.y + light.z) / 3.0f;
            uint bit = 1u << (x - tx * RIM_CELLS + FARTHEST);
            if (mean <= 0.0f || fmax(clipped.x, fmax(clipped.y, clipped.z)) > 0.0f)
                continue;
            all += mean * (float4)(light, mean);
            all_squares += mean * mean * mean * (float4)(light, mean);
            all_spread += mean * mean * dot(light, light);
            if (in_rim & bit)
                add_cell(&rim, &rim_light, &rim_square, light, mean);
            else if (in_ground & bit)
                add_cell(&ground, &ground_light, &ground_square, light, mean);
        }
    }
    __global float *tile = sums + 28 * ((size_t)ty * columns + tx);
    vstore4(all, 0, tile);
    vstore4(all_squares, 1, tile);
    tile[8] = all_spread;
    tile[9] = is_open;
    vstore4(rim, 0, tile + 10);
    vstore4(rim_light, 0, tile + 14);
    tile[18] = rim_square;
    vstore4(ground, 0, tile + 19);
    vstore4(ground_light, 0, tile + 23);
    tile[27] = ground_square;
}
