/* The grey picture for block matching: the mean light of 2 x 2 full pixels over all their colours,

       grey = round(GREY_ONE * mean light), clamped to 0..65535,  GREY_ONE = 32768

   (Hasinoff 2016, section 4: one grey value for each 2 x 2 Bayer cell). Light 0 gives 0, light from 2 on
   65535. In the last row and column of odd sizes the mean is over the pixels inside the picture. */
#define GREY_ONE 32768.0f

__kernel void merge_grey(__global const VALUE *values, __global const float *curve, __global ushort *grey,
                         int width, int height, int grey_width, int grey_height)
{
    int gx = get_global_id(0), gy = get_global_id(1);
    if (gx >= grey_width || gy >= grey_height)
        return;
    const int columns = 2 * CFA_COLUMNS / CFA_ROWS; /* elements that 2 full pixels take in a row */
    float sum = 0.0f;
    int count = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < columns; i++) {
            int x = gx * columns + i, y = gy * 2 + j;
            if (x >= width || y >= height)
                continue;
            int plane = (j % CFA_ROWS) * CFA_COLUMNS + i % CFA_COLUMNS;
            sum += light_of(values[(size_t)y * width + x], curve, plane);
            count++;
        }
    grey[(size_t)gy * grey_width + gx] = convert_ushort_sat_rte(GREY_ONE * sum / count);
}
