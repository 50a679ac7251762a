/** The name under which the folder for secrets is handed from the main step to the post step. */
export const FOLDER_STATE = "folder";
