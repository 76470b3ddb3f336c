/* Green minus the other colour, estimated along the row and down the column at every pixel (Hamilton and Adams
   1997, US 5629734; Pekkucuksen and Altunbasak 2010, doi:10.1109/ICIP.2010.5652138, equations 1-3):

       estimate = (a + b) / 2 + (2 c - aa - bb) / 4,   a, b the neighbours, aa, bb the next ones, c the pixel;
       difference = estimate - c where c is red or blue, c - estimate where c is green.

   (red_x, red_y) is the parity of red's columns and rows in the band. The outer two pixels are 0. */
__kernel void demosaic_color_differences(__global const float *band, __global float2 *differences, int width,
                                         int rows, int red_x, int red_y)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= rows)
        return;
    size_t at = (size_t)y * width + x;
    float2 result = 0.0f;
    if (x >= 2 && y >= 2 && x < width - 2 && y < rows - 2) {
        float c = band[at];
        float along = 0.5f * (band[at - 1] + band[at + 1]) - 0.25f * (band[at - 2] + band[at + 2]) - 0.5f * c;
        float down = 0.5f * (band[at - width] + band[at + width])
                   - 0.25f * (band[at - 2 * width] + band[at + 2 * width]) - 0.5f * c;
        bool green = ((x ^ red_x) ^ (y ^ red_y)) & 1;
        result = green ? (float2)(-along, -down) : (float2)(along, down);
    }
    differences[at] = result;
}
