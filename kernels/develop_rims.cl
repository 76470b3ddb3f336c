/* Sums over each tile of RIM_CELLS x RIM_CELLS cells near clipped ones, from which the colour of clipped light is told
   (highlights.py), of the balanced light c of cells, red, green and blue, no less than 0 and no more than white:

     0        1 where a cell is not clipped in all channels, else 0
     1..10    count, sum c (3), sums of r r, g g, b b, r g, g b, b r, of the rim: cells without clipped samples, RIM
              cell from one that has
     11..20   the same, of cells without clipped samples farther from the next clipped one, less than NEAREST
     21..30   the same, of the ground: NEAREST to FARTHEST cells from the next clipped one
     31..42   of cells, not mixed, clipped in the third channel only: count, sums of x x, y y, x y, for (x, y) = (r, g), (g, b), (b, r)
     43..54   of cells, not mixed, clipped in x and not in y: sums of x and y, for (x, y) = (r, g), (r, b), (g, r), (g, b), (b, r), (b, g)

   Only tiles that are marked (develop_bin) or next to a marked one have sums; others are 0, with 1 in channel 0. */

#define RIM 1
#define SUMS 55
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

/* Adds a cell's light to ten sums. */
inline void add_cell(float *sums, float3 c)
{
    sums[0] += 1.0f;
    sums[1] += c.x;
    sums[2] += c.y;
    sums[3] += c.z;
    sums[4] += c.x * c.x;
    sums[5] += c.y * c.y;
    sums[6] += c.z * c.z;
    sums[7] += c.x * c.y;
    sums[8] += c.y * c.z;
    sums[9] += c.z * c.x;
}

/* Adds two channels of a cell, x clipped by x_clips and y by y_clips, to what is known of their ratio: four sums where
   neither is clipped, two where one is. */
inline void add_channels(float *unclipped, float *x_clipped, float *y_clipped, float x, float y, float x_clips,
                         float y_clips)
{
    if (x_clips <= 0.0f && y_clips <= 0.0f) {
        unclipped[0] += 1.0f;
        unclipped[1] += x * x;
        unclipped[2] += y * y;
        unclipped[3] += x * y;
    } else if (x_clips >= 1.0f && y_clips <= 0.0f) {
        x_clipped[0] += x;
        x_clipped[1] += y;
    } else if (y_clips >= 1.0f && x_clips <= 0.0f) {
        y_clipped[0] += y;
        y_clipped[1] += x;
    }
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
    float own[SUMS];
    for (int n = 0; n < SUMS; n++)
        own[n] = 0.0f;
    own[0] = is_near ? 0.0f : 1.0f;
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
        uint in_rim = reached(map, row, RIM), within = reached(map, row, NEAREST - 1);
        uint in_ground = reached(map, row, FARTHEST) & ~within;
        for (int x = tx * RIM_CELLS; x < min((tx + 1) * RIM_CELLS, half_width); x++) {
            float3 clipped;
            float mixed;
            float3 raw = raw_cell(values, width, height, red, black, inverse, colour.s3, x, y, &clipped, &mixed);
            own[0] = fmin(clipped.x, fmin(clipped.y, clipped.z)) < 1.0f ? 1.0f : own[0];
            float3 c = clamp(raw, 0.0f, 1.0f) * colour.s012;
            uint bit = 1u << (x - tx * RIM_CELLS + FARTHEST);
            if (c.x + c.y + c.z <= 0.0f)
                continue;
            if (fmax(clipped.x, fmax(clipped.y, clipped.z)) > 0.0f) {
                if (mixed > 0.0f)
                    continue;
                add_channels(own + 31, own + 43, own + 47, c.x, c.y, clipped.x, clipped.y);
                add_channels(own + 35, own + 49, own + 53, c.y, c.z, clipped.y, clipped.z);
                add_channels(own + 39, own + 51, own + 45, c.z, c.x, clipped.z, clipped.x);
            } else if (in_rim & bit)
                add_cell(own + 1, c);
            else if (within & bit)
                add_cell(own + 11, c);
            else if (in_ground & bit)
                add_cell(own + 21, c);
        }
    }
    __global float *tile = sums + SUMS * ((size_t)ty * columns + tx);
    for (int n = 0; n < SUMS; n++)
        tile[n] = own[n];
}
